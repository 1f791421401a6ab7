"""The page, the Markdown and the text of a run: complete, and nothing that a cluster wrote acts in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from markdown_it import MarkdownIt
from rich.cells import cell_len
from support.page import Page
from support.report_examples import Example, example, examples, result

from aiconform.engine.events import CheckFinished
from aiconform.engine.evidence import Accelerator, AssertionResult, Evidence, Record, Report
from aiconform.reports.console import Console
from aiconform.reports.formats import BY_NAME, Medium
from aiconform.reports.html import render_html
from aiconform.reports.markdown import render_markdown
from aiconform.reports.minute import minute
from aiconform.reports.plain import plain, shortened
from aiconform.reports.summary import by_target, duration, headline, statements, targets_of, where
from aiconform.reports.text import render_text
from aiconform.reports.views import CHECK_LIMIT, OBSERVATION_LIMIT
from aiconform.spec import load_standard

some = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=25)
SIMULATED = "Accelerators were simulated: this says nothing about real hardware."


def record(**changes: object) -> Record:
    made = Record(
        probe="look",
        target="node-1",
        outcome="seen",
        message="",
        observes="View",
        observation={"devices": ["/dev/accel0"]},
        seconds=1.5,
        requests=3,
    )
    return made.model_copy(update=changes)


def evidence(*records: Record, check: str = "gang_scheduling") -> dict[str, Evidence]:
    return {check: Evidence(check=check, suite="", seconds=0, requests=0, records=records)}


# The page

OURS = """
html head meta title style body svg symbol circle path use a header div p h1 h2 h3 em strong ul ol li b main section
article table thead tbody tr th td code span details summary pre dl dt dd br figure
figcaption desc rect line text polyline
"""


@some
@given(examples())
def test_a_page_has_our_tags_alone_and_loads_nothing(made: Example) -> None:
    text = render_html(made.report, made.evidence)
    page = Page(text)
    assert set(page.tags) <= set(OURS.split())
    for name, value in page.attributes:
        assert name not in ("src", "srcset", "action", "style", "ping")
        assert not name.startswith("on")
        assert name != "href" or (value or "").startswith("#")
    assert text.encode().decode() == text
    assert "url(" not in text
    assert "@import" not in text


@some
@given(examples())
def test_a_page_has_every_text_of_the_report(made: Example) -> None:
    text = Page(render_html(made.report, made.evidence)).text
    for check in made.report.checks:
        for said in (check.id, check.title):
            assert plain(said) in text
        assert check.verdict == "fail" or shortened(check.reason, 10_000) in text
        for each in check.assertions:
            assert plain(each.title) in text
            for target, found in by_target(each.reason, targets_of(made.evidence.get(check.id))):
                assert plain(target) in text
                assert shortened(found, 10_000) in text
    for each in made.evidence.values():
        for seen in each.records:
            assert plain(seen.target) in text
            assert shortened(seen.message, 10_000) in text
    assert all(plain(each) in text for each in (*made.report.leaks, *made.report.passed_over))
    assert (SIMULATED in text) == made.report.simulated


def test_links_of_a_page_lead_to_what_is_there() -> None:
    checks = (result(), result("dra_support", "error"), result("ai_inference", "not-run"))
    page = Page(render_html(example(*checks), {}))
    ids = [value for name, value in page.attributes if name == "id"]
    links = {str(value)[1:] for name, value in page.attributes if name == "href"}
    assert len(ids) == len(set(ids))
    assert links <= set(ids)
    labels = {value for name, value in page.attributes if name == "aria-labelledby"}
    assert labels <= set(ids)


def test_what_was_not_run_is_in_the_table_with_its_reason_and_has_no_section() -> None:
    page = Page(render_html(example(result("ai_inference", "not-run")), {}))
    assert "because not-run" in page.text
    assert page.tags["article"] == 0


def test_an_observation_is_shown_as_json_and_cut_where_it_is_endless() -> None:
    seen = {"lines": [f"line {number}" for number in range(20_000)]}
    text = render_html(example(result()), evidence(record(observation=seen)))
    whole = json.dumps(seen, indent=1).split("\n")
    shown = [line for line in Page(text).text.split("\n") if line.strip().startswith('"line ')]
    assert len(text) < 2 * OBSERVATION_LIMIT + 40_000
    assert [line.strip() for line in shown] == [line.strip() for line in whole[2:] if '"line ' in line][: len(shown)]
    left = len(whole) - len(shown) - 2
    assert f"{left} more lines in observations/gang_scheduling.json" in Page(text).text


def test_of_thousands_of_observations_those_that_matter_are_shown() -> None:
    seen = {"lines": [f"line {number}" for number in range(1_000)]}
    found = AssertionResult(title="It runs", holds=False, reason="", subjects=1, targets={"node-499": False})
    records = tuple(record(target=f"node-{number}", observation=seen) for number in range(500))
    page = Page(render_html(example(result("gang_scheduling", "fail", assertions=(found,))), evidence(*records)))
    shown = {value for name, value in page.attributes if name == "aria-label" and value}
    assert "View of node-499" in shown
    assert len(page.text) < 2 * CHECK_LIMIT
    assert page.text.count("In observations/gang_scheduling.json: 1004 lines.") > 300
    assert all(f"node-{number}" in page.text for number in range(500))


def test_what_a_probe_could_not_see_is_said_beside_it() -> None:
    refused = record(outcome="error", observation=None, message="look: get pods: 403 Forbidden")
    text = Page(render_html(example(result(verdict="error")), evidence(refused))).text
    assert "look: get pods: 403 Forbidden" in text
    assert "error, 1.5 s, 3 requests" in text


def test_a_platform_without_accelerators_and_one_with_them() -> None:
    assert "The platform offered none." in Page(render_html(example(result()), {})).text
    found = Accelerator(
        node="node-1", way="device-plugin", name="example.test/a", product="A1", total=4, free=3, simulated=True
    )
    text = Page(render_html(example(result(), accelerators=(found,)), {})).text
    assert all(word in text for word in ("A1", "simulated", "node-1", "device plugin", "example.test/a"))


# Markdown


@some
@given(examples())
def test_markdown_of_a_cluster_makes_no_link_image_mention_or_html(made: Example) -> None:
    text = render_markdown(made.report, made.evidence)
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    kinds = {token.type for token in (*tokens, *inline)}
    assert not kinds & {
        "html_block",
        "html_inline",
        "link_open",
        "image",
        "fence",
        "code_block",
        "s_open",
        "blockquote_open",
    }
    sections = sum(1 for check in made.report.checks if check.verdict != "not-run" or check.id in made.evidence)
    assert sum(1 for token in tokens if token.type == "heading_open") == 1 + sections + 2
    assert sum(1 for token in tokens if token.type == "tr_open") == 1 + len(made.report.checks)
    assert sum(1 for token in tokens if token.type == "td_open") == 5 * len(made.report.checks)
    words = "".join(child.content for child in inline if child.type == "text")
    # GitHub looks for mentions and issues in what is rendered, though not in code.
    assert "@" not in words
    assert "#" not in words
    assert text.encode().decode() == text
    assert (SIMULATED in text) == made.report.simulated


@some
@given(examples())
def test_markdown_shows_reasons_as_they_are(made: Example) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(render_markdown(made.report, made.evidence))
    code = {child.content for token in tokens for child in token.children or () if child.type == "code_inline"}
    for check in made.report.checks:
        if check.verdict in ("pass", "error", "not-applicable"):
            said = shortened(check.reason, 4_000)
            assert said in code or not said.strip(" ")


# Text


@some
@given(examples())
def test_text_has_lines_of_its_width_and_no_control_characters(made: Example) -> None:
    text = render_text(made.report, made.evidence, 100)
    lines = text.split("\n")
    assert all(plain(line) == line for line in lines)
    assert max(cell_len(line) for line in lines) <= 100
    assert (SIMULATED in " ".join(text.split())) == made.report.simulated


def test_text_says_what_was_found_target_by_target() -> None:
    found = AssertionResult(
        title="Every Pod runs", holds=False, reason="node-1: 4 of 4 ran | node-2: 3 of 4 ran", subjects=8
    )
    both = evidence(record(), record(target="node-2"))
    text = render_text(example(result(verdict="fail", assertions=(found,))), both)
    assert "  NO         Every Pod runs (8 subjects)\n" in text
    assert "             node-1: 4 of 4 ran\n             node-2: 3 of 4 ran\n" in text
    assert "  probe look on node-2: seen, 1.5 s, 3 requests\n" in text


# What goes beyond the programme's words, what to do, and extensions


def with_everything() -> Report:
    whole = result("robust_controller", title="Robust controller")
    asked = whole.assertions[0].model_copy(update={"id": "reconciles", "title": "An object is reconciled"})
    ours = asked.model_copy(update={"id": "restart", "asked_by": "project", "holds": False, "title": "A restart heals"})
    return example(
        whole.model_copy(update={"assertions": (asked, ours), "strict": "fail"}),
        result("gang_scheduling", "fail"),
        result("acme.fabric", "fail", level="extension", title="Fabric of Acme"),
        verdict="not-conformant",
        strict="not-conformant",
    )


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_a_page_tells_both_verdicts_what_to_do_and_extensions_apart(form: str) -> None:
    made = BY_NAME[form].render(with_everything(), {}, Medium()).decode()
    words = " ".join((Page(made).text if form == "html" else made).replace("\\", "").replace("`", "").split())
    assert "Beyond the programme's words: 0 of 1 assertions hold; broken: robust_controller/restart." in words
    before, beyond = words.index("An object is reconciled"), words.index("A restart heals")
    assert before < words.rindex("Beyond the programme's words", 0, beyond) < beyond
    assert "restart" in words[beyond:]
    for failed in ("gang_scheduling", "robust_controller"):
        advice = " ".join((load_standard().requirement(failed).remediation or "").split())
        assert advice[:60] in words
    section = words.index("never part of a version's verdict")
    assert "acme.fabric" in words[section:]
    assert "strict: " in words


def test_the_console_tells_them_apart_as_well(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    Console(as_json=False).close(with_everything(), tmp_path)
    out = capsys.readouterr().out
    assert "robust_controller  MUST   pass (strict: fail)" in out
    assert out.index("gang_scheduling") < out.index("Extensions: never part of") < out.index("acme.fabric")
    assert "broken: robust_controller/restart. Strict verdict: not conformant." in out


def test_a_passed_check_comes_without_advice() -> None:
    assert "To fix it" not in render_text(example(result("gang_scheduling")), {})


# Words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scope": "version", "verdict": "conformant"}, "Conformant with v1.37"),
        ({"scope": "version", "verdict": "not-conformant"}, "Not conformant with v1.37"),
        ({"scope": "version", "verdict": "undetermined"}, "Undetermined for v1.37"),
        ({"scope": "chosen", "verdict": "conformant"}, "Conformant on 1 chosen requirement"),
    ],
)
def test_headline(changes: dict[str, str], words: str) -> None:
    assert headline(example(result(), **changes)) == words


def test_statements_name_all_that_keeps_a_platform_from_being_conformant() -> None:
    report = example(
        result("gang_scheduling", "fail"),
        result("ai_inference", "error"),
        result("pod_autoscaling", "not-applicable"),
        result("robust_controller", "not-run"),
        result("gpu_sharing", "fail", level="SHOULD"),
        scope="version",
        verdict="not-conformant",
        uncovered=("robust_controller",),
    )
    assert statements(report) == (
        "Failed: gang_scheduling.",
        "Could not be decided: ai_inference.",
        "Reported as not applicable, which the programme does not allow: pod_autoscaling.",
        "Not run: robust_controller.",
    )


def test_statements_of_a_part_say_what_was_left_out() -> None:
    report = example(result(), verdict="conformant", uncovered=("ai_inference", "robust_controller"))
    assert statements(report) == (
        "Every chosen requirement passed.",
        "Says nothing about 2 MUST requirements of v1.37: ai_inference, robust_controller.",
    )


def test_statements_of_a_version_with_a_requirement_that_may_not_apply() -> None:
    checks = (result(), result("cluster_autoscaling", "not-applicable"), result("gpu_sharing", "fail", level="SHOULD"))
    report = example(*checks, verdict="conformant", scope="version")
    assert statements(report) == (
        "Every requirement that counts passed, or does not apply where the programme allows that.",
    )


def test_a_report_of_nothing_says_so() -> None:
    assert statements(example()) == ("Nothing was decided.",)


@pytest.mark.parametrize(
    ("reason", "parts"),
    [
        ("2 of 2", (("", "2 of 2"),)),
        ("node-1: a | node-2: b", (("node-1", "a"), ("node-2", "b"))),
        ("node-1: x: y: z", (("node-1: x", "y: z"),)),
        ("a | b", (("", "a"), ("", "b"))),
    ],
)
def test_reasons_by_target(reason: str, parts: tuple[tuple[str, str], ...]) -> None:
    assert by_target(reason, ("node-1", "node-1: x", "node-2")) == parts


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.97, "1 min 00 s"),
        (75, "1 min 15 s"),
        (3725, "1 h 02 min"),
        (float("nan"), "0.0 s"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ({}, ""),
        ({"a": True}, ""),
        ({"a": True, "b": True}, "holds on 2 of 2"),
        ({"a": True, "b": False, "c": True}, "holds on 2 of 3: not on b"),
        ({"a": False, "b": None, "c": False}, "holds on 0 of 3: not on a and c; undecided on b"),
    ],
)
def test_every_page_says_where_an_assertion_holds(targets: dict[str, bool | None], words: str) -> None:
    (found,) = result(verdict="fail").assertions
    found = found.model_copy(update={"targets": targets})
    assert where(found) == words
    report = example(result(verdict="fail", assertions=(found,)))
    for page in (render_text(report, {}, width=300), render_markdown(report, {}), Page(render_html(report, {})).text):
        assert words in page
        assert ("holds on" in page) == bool(words)


@pytest.mark.parametrize(("waited", "words"), [(0.0, ""), (0.4, ""), (104.0, "1.2 s (waited 1 min 44 s for acc")])
def test_every_report_tells_work_from_waiting(
    waited: float, words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = example(result(waited=waited))
    pages = [BY_NAME[name].render(report, {}, Medium()) for name in ("text", "markdown", "html", "junit")]
    Console(as_json=False).listen(CheckFinished(report.checks[0]))
    for page in (*pages, capsys.readouterr().err):
        flat = " ".join((page if isinstance(page, str) else page.decode()).split())
        assert words in flat
        assert ("waited" in flat) == bool(words)
    Console(as_json=False).close(report, tmp_path)
    table = capsys.readouterr().out
    assert "WAITED" in table
    assert (" 104 " in table) == bool(words)


# What the page says of assertions


def test_an_assertion_has_its_line_of_the_standard_and_a_link() -> None:
    found = AssertionResult(id="scales_up", title="It grows", holds=False, reason="it did not", subjects=1)
    page = Page(render_html(example(result("pod_autoscaling", "fail", assertions=(found,))), {}))
    assert "The number of Pods grows as the metric requires. asked by the programme since v1.33" in page.text
    assert ("id", "pod_autoscaling/scales_up") in page.attributes
    assert ("href", "#pod_autoscaling:remedy") in page.attributes


def test_what_is_undecided_says_how_to_look_again() -> None:
    page = Page(render_html(example(result("pod_autoscaling", "error")), {}))
    assert "then look again: aiconform run pod_autoscaling" in page.text


def test_links_of_a_forged_report_do_not_meet() -> None:
    found = AssertionResult(id="same", title="One", holds=True, reason="", subjects=1)
    checks = (
        result("dra_support", assertions=(found, found)),
        result("dra_support"),
        result("run"),
        result('a b" onclick'),
    )
    page = Page(render_html(example(*checks), {}))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {"dra_support", "check:2", "check:3", "check:4"} <= set(ids)


# A reviewer's minute


def lines_of(report: Report) -> dict[str, str]:
    return {line.name: " ".join(line.texts) for line in minute(report, {})}


def test_the_minute_names_what_is_undecided_and_counts_the_rest() -> None:
    checks = tuple(result(name, "error") for name in ("dra_support", "ai_inference", "gang_scheduling", "gpu_sharing"))
    assert lines_of(example(*checks))["Undecided"] == (
        "dra_support: because error ai_inference: because error gang_scheduling: because error 1 more."
    )
    open_ = AssertionResult(id="scales_up", title="It grows", holds=None, reason="never tried", subjects=0)
    half = result("pod_autoscaling", "fail", assertions=(open_,))
    assert lines_of(example(half))["Undecided"] == "pod_autoscaling/scales_up: never tried"
    assert lines_of(example(result()))["Undecided"] == "Nothing of what was tried."


def test_the_minute_counts_accelerators_by_kind() -> None:
    def found(node: str, product: str) -> Accelerator:
        return Accelerator(node=node, way="dra", name="a.test", product=product, total=4, free=4, simulated=False)

    one = example(result(), accelerators=(found("node-1", "A1"), found("node-2", "A1"), found("node-2", "")))
    assert lines_of(one)["Platform"] == (
        "Kubernetes v1.37.2 at https://cluster.test; 8 A1 by DRA on 2 nodes, 4 a.test by DRA on node-2."
    )
    many = example(result(), accelerators=tuple(found("node-1", f"A{number}") for number in range(5)))
    assert lines_of(many)["Platform"].endswith("4 A2 by DRA on node-1, 2 more kinds.")
    assert lines_of(example(result()))["Platform"].endswith("no accelerators.")


@pytest.mark.parametrize(
    ("simulated", "said"),
    [(None, "There was no accelerator."), (False, "No accelerator says that it is simulated."), (True, SIMULATED)],
)
def test_the_minute_says_what_was_simulated(simulated: bool | None, said: str) -> None:
    entry = Accelerator(node="n", way="dra", name="a", product="", total=1, free=1, simulated=bool(simulated))
    report = example(result(), accelerators=() if simulated is None else (entry,), simulated=bool(simulated))
    assert lines_of(report)["Simulated"] == said
