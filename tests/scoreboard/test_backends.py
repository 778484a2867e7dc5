import pytest

from multiproxy.scoreboard import BackendRow, BackendState, Scoreboard, layout

ROW = BackendRow(BackendState.UP, 4, 32_768, 10**15, 10**15 + 5, 310, 0, 8080)


@pytest.fixture
def board():
    board = Scoreboard.create()
    yield board.backends
    board.close()


def test_a_row_comes_back_as_it_went_in(board):
    board.write(255, ROW)
    assert board.read(255) == ROW
    assert board.state(255) is BackendState.UP
    assert board.read(254).state is BackendState.UNCHECKED


def test_the_version_changes_with_state_slots_context_and_facts_but_not_with_a_check(board):
    versions = [board.version]
    for row in (
        ROW,
        ROW._replace(state=BackendState.DOWN),
        ROW._replace(slots=8),
        ROW._replace(n_ctx=1),
    ):
        board.write(3, row)
        versions.append(board.version)
    board.write_facts(3, b'{"kind":"llama.cpp"}')
    versions.append(board.version)
    assert versions == sorted(set(versions))
    board.write(3, ROW._replace(n_ctx=1, checked_ns=10**16, check_us=7))
    board.write_facts(3, b'{"kind":"llama.cpp"}')
    assert board.version == versions[-1]


def test_facts_shrink_and_have_a_limit(board):
    board.write_facts(3, b"x" * layout.FACTS_SIZE)
    board.write_facts(4, b"y")
    assert (len(board.facts(3)), board.facts(4)) == (layout.FACTS_SIZE, b"y")
    board.write_facts(3, b"{}")
    assert (board.facts(3), board.facts(2)) == (b"{}", b"")
    with pytest.raises(ValueError, match="32769 bytes of facts; the room is 32768"):
        board.write_facts(3, b"x" * (layout.FACTS_SIZE + 1))


def test_a_reader_never_takes_facts_that_changed_under_its_copy(board):
    board.write_facts(3, b"old")
    lengths = board._lengths
    looks = []

    class Overtaken:  # a write happens between the two looks of the reader's first try
        def __getitem__(self, index):
            looks.append(index)
            if len(looks) == 1:
                board._lengths = lengths
                board.write_facts(3, b"new facts")
            return lengths[index]

    board._lengths = Overtaken()
    assert board.facts(3) == b"new facts"


def test_a_row_in_the_middle_of_a_write_is_told_as_it_was(board):
    board.write(3, ROW)
    assert board.read(3) == ROW
    board._sequences[3] |= 1  # its writer lost its processor
    assert board.read(3) == ROW
    other = ROW._replace(slots=ROW.slots + 1)
    board.write(3, other)
    assert board.read(3) == other


def test_a_row_that_never_was_outside_of_a_write_is_an_error(board):
    board.write(3, ROW)
    board._sequences[3] |= 1
    with pytest.raises(RuntimeError, match="backend row 3 is being written"):
        board.read(3)
