"""The comparison's own rules: who takes part, what is asked of whom, what is made of figures."""

import subprocess
from argparse import Namespace

import pytest

import compare
import contestants
import peers
import report
import summary
from figures import subtract_direct
from questions import QUESTIONS
from scenarios import Scenario, Shape, gentle, scenarios
from steady_state import Cores


def figures(**more: object) -> dict[str, object]:
    return {"outcomes": {"ok": 10}, **more}


def test_who_is_not_installed_is_named_and_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    args = Namespace(only="direct,nginx,multiproxy", proxy_url="", cmd="", port=1)
    found, missing = compare.find_contestants(args, tmp_path)
    assert [each.name for each in found] == ["direct", "multiproxy"]
    assert missing == {"nginx": "there is no command nginx"}


def test_a_peer_that_pip_cannot_install_leaves_nothing_behind(tmp_path, monkeypatch):
    def pip(command, **_):
        if "venv" in command:
            (tmp_path / "vllm-router==0.1.17/bin").mkdir(parents=True)
            return subprocess.CompletedProcess(command, 0, "", "")
        return subprocess.CompletedProcess(command, 1, "", "ERROR: no such\nERROR: version")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(peers.NotInstalledError, match="ERROR: version"):
        peers.installed("vllm-router", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_installed_peer_is_not_installed_again(tmp_path, monkeypatch):
    command = tmp_path / "litellm==1.106.2/bin/litellm"
    command.parent.mkdir(parents=True)
    command.touch()
    monkeypatch.setattr(subprocess, "run", None)
    assert peers.installed("litellm", tmp_path) == command


def test_who_does_not_start_is_out_and_the_others_go_on(tmp_path, monkeypatch):
    broken = contestants.Contestant("broken", "127.0.0.1:9", ["false"], tmp_path / "log")
    other = contestants.Contestant("direct", "127.0.0.1:9", [], tmp_path)
    monkeypatch.setattr(contestants, "serves", lambda address: broken.process is None)
    monkeypatch.setattr(compare, "measure", lambda *_: figures())
    run = compare.Run([broken, other], Shape(), Cores(0, 0), ["stream"])
    for number in range(2):
        run.round(number, traced=False)
    assert "broken does not serve" in run.out["broken"]
    assert run.results == {"stream": {"direct": [figures(), figures()]}}


def test_the_order_of_contestants_turns_each_round(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(contestants, "serves", lambda address: True)
    monkeypatch.setattr(compare, "measure", lambda each, *_: asked.append(each.name) or figures())
    found = [contestants.Contestant(name, "", [], tmp_path) for name in "abc"]
    run = compare.Run(found, Shape(), Cores(0, 0), ["stream"])
    for number in range(3):
        run.round(number, traced=False)
    assert "".join(asked) == "abcbcacab"


def test_only_who_translates_is_asked_for_messages_and_responses(tmp_path):
    here = [
        contestants.direct(1),
        contestants.multiproxy(1, 2, tmp_path),
    ]
    run = compare.Run(here, Shape(), Cores(0, 0), [each.name for each in scenarios(Shape())])
    asked = [{scenario.name for scenario in run._scenarios(each)} for each in here]
    assert asked[1] - asked[0] == {"messages stream", "responses stream"}


def test_the_history_of_the_measured_proxy_is_in_the_folder_of_the_run(tmp_path):
    contestants.multiproxy(1, 2, tmp_path)
    config = (tmp_path / "multiproxy.yaml").read_text()
    assert f"history: {{path: {tmp_path}/history.db}}" in config


def test_a_weak_proxy_gets_a_part_of_the_load_and_never_none():
    shape = Shape().scaled(0.05, 0.005)
    assert (shape.streams, shape.idle_streams, shape.connections) == (10, 100, 5)
    weak = {each.name: each for each in scenarios(shape, rewrites=True, bodies=0.005)}
    assert weak["request"].rate == 5
    assert weak["request"].question == "rewritten embedding"
    assert weak["1000 KB body"].rate == 1


def test_every_scenario_asks_a_question_that_there_is():
    for scenario in scenarios(Shape()):
        assert scenario.question in QUESTIONS
        assert bool(scenario.streams) != bool(scenario.connections) or scenario.streams == 200
        assert gentle(scenario).streams <= scenario.streams


def test_what_is_traced_gets_a_part_of_the_load():
    strong, weak = Scenario("s", "chat", 200, rate=50), Scenario("s", "chat", 10, rate=50)
    requests = Scenario("r", "embedding", connections=50, rate=1000)
    assert (gentle(strong).streams, gentle(strong).rate) == (10, 200)
    assert (gentle(weak).streams, gentle(weak).rate) == (10, 10)
    assert (gentle(requests).connections, gentle(requests).rate) == (10, 100)


def test_streams_last_until_all_are_open():
    arguments = Scenario("idle", "chat", 1000, tokens=3).arguments(10)
    assert float(arguments[arguments.index("--seconds") + 1]) == 13


def test_what_a_proxy_adds_is_told_within_a_round():
    results = {
        "stream": {
            "direct": [figures(p50_us=100, p99_us=900), figures(p50_us=200, p99_us=900)],
            "nginx": [figures(p50_us=150, p99_us=1000), figures(p50_us=300, p99_us=800)],
        }
    }
    subtract_direct(results)
    assert [one["added_p50_us"] for one in results["stream"]["nginx"]] == [50, 100]
    assert [one["added_p99_us"] for one in results["stream"]["nginx"]] == [100, -100]
    assert "added_p50_us" not in results["stream"]["direct"][0]


def test_a_table_has_medians_multiples_of_nginx_and_the_first_process_apart():
    told = report.table(
        "stream",
        {
            "nginx": [figures(cpu_us=20.0, cpu_us_by_process=[0.0, 20.0])],
            "multiproxy": [
                figures(cpu_us=30.0, cpu_us_by_process=[1.0, 29.0]),
                figures(cpu_us=26.0, cpu_us_by_process=[3.0, 23.0]),
                {"outcomes": {"ok": 9, "wrong": 1}, "cpu_us": 40.0},
            ],
        },
    ).splitlines()
    assert told[0].split() == "CPU us/event 1st process x nginx not ok".split()
    assert told[2].split() == "multiproxy 30.0 (26.0..40.0) 2.0 1.50 1 of 30".split()


def test_what_is_made_of_the_same_tokens_is_held_against_each_other_within_a_round():
    results = {
        "stream": {"multiproxy": [figures(cpu_us=20.0), figures(cpu_us=40.0)]},
        "responses stream": {"multiproxy": [figures(cpu_us=30.0), figures(cpu_us=40.0)]},
        "short chat": {"multiproxy": [figures(cpu_us=50.0)], "nginx": [figures(cpu_us=30.0)]},
        "whole chat": {"multiproxy": [figures(cpu_us=40.0)], "nginx": []},
    }
    assert report.relative_costs(results) == [
        "multiproxy: an event of responses stream costs 1.25 (1.00..1.50) x the relay of Chat",
        "multiproxy: a token folded costs 0.80 x one streamed, requests too",
    ]


def test_a_result_of_files_that_are_in_no_commit_is_not_stored(monkeypatch, capsys):
    monkeypatch.setattr(report, "commit", lambda: "0123456789-dirty")
    monkeypatch.setattr("sys.argv", ["compare.py", "--only", "direct"])
    with pytest.raises(SystemExit, match="commit first"):
        compare.main()


def test_the_readme_has_the_table_of_the_newest_result():
    page = summary.README.read_text()
    table = summary.summary(summary.newest(summary.RESULTS))
    assert summary.written(page, table) == page, "run scripts/generate.sh"


def test_the_table_says_who_had_less_to_bear():
    run = {
        "commit": "0123456789",
        "machine": {"processor": "x", "python": "3.13.0"},
        "versions": {"direct": "", "nginx": "1", "litellm": "2"},
        "shares": {"litellm": [0.05, 0.005]},
        "shape": {"streams": 200, "rate": 50, "request_rate": 1000},
        "rounds": {"stream": {"nginx": [figures(cpu_us=20.0)], "litellm": [figures(cpu_us=900.0)]}},
    }
    told = summary.summary(run).splitlines()
    assert told[0] == "| | nginx | litellm |"
    assert told[2] == "| CPU µs per event | 20.0 | 900.0 |"
    assert "litellm could not bear that and got one in 20 of the streams and one in 200" in told[-1]


def test_a_page_without_a_place_for_the_table_is_told():
    with pytest.raises(ValueError, match="0 places"):
        summary.written("# nothing\n", "table")
