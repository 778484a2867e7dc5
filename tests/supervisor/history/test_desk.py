import threading

import pytest

from multiproxy.supervisor.history.desk import Desk


def test_work_is_done_in_order_and_in_another_thread():
    desk, order = Desk("t"), []
    futures = [desk.submit(lambda i=i: order.append(i) or threading.get_ident()) for i in range(9)]
    assert {future.result(5) for future in futures} == {desk._thread.ident}
    assert order == list(range(9))
    assert desk.close(5)


def test_a_failure_belongs_to_its_work():
    desk = Desk("t")
    with pytest.raises(ZeroDivisionError):
        desk.submit(lambda: 1 // 0).result(5)
    assert desk.submit(lambda: 7).result(5) == 7
    assert desk.close(5)


def test_work_that_hangs_is_left_behind():
    desk, hangs = Desk("t"), threading.Event()
    desk.submit(hangs.wait)
    assert not desk.close(0.05)
    assert desk._thread.daemon
    hangs.set()
    assert desk.close(5)
