"""A short leg of the fuzzer in every full run, and the fuzzer itself on planted bugs."""

import sys

import pytest

from tests.fuzz.engine import INPUT_BYTES_MAX, Result, fuzz
from tests.fuzz.targets import TARGETS, Target

SEED = 20260105
RUNS = 120

#: The targets that the short leg also guides by coverage; tracing makes a run ten times as long.
GUIDED = ("codec-edc", "codec-bank", "codec-kinds", "framing", "tlv", "dol", "tr31", "chip")
GUIDED_RUNS = 200


def check(name: str, result: Result) -> None:
    """Fail with the seed and the input as hex."""
    failure = result.failure
    if failure is not None:
        pytest.fail(f"{name}, seed {SEED}, input {failure.data.hex()}\n{failure.trace}")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_fuzz_target_holds_on_damaged_inputs(name: str) -> None:
    result = fuzz(TARGETS[name], SEED, RUNS, lambda: True, guided=False)
    check(name, result)
    assert result.runs == RUNS


@pytest.mark.slow
@pytest.mark.parametrize("name", GUIDED)
def test_fuzz_target_holds_on_inputs_that_coverage_guides_to(name: str) -> None:
    result = fuzz(TARGETS[name], SEED, GUIDED_RUNS, lambda: True, guided=True)
    check(name, result)
    assert result.pool > len(TARGETS[name].corpus())
    assert result.lines > 20


def planted(data: bytes) -> None:
    """Fail on a byte that no corpus holds behind one that it does."""
    if data[:1] == b"A" and b"\xff" in data:
        raise RuntimeError("planted")


def test_fuzz_finds_a_planted_bug_and_makes_its_input_small() -> None:
    target = Target("planted", planted, lambda: [b"ABCDEFGHIJ" * 20])
    results = [fuzz(target, SEED, 5_000, lambda: True, guided=False) for _ in range(2)]
    failure = results[0].failure
    assert failure is not None
    assert failure.data == b"A\xff"
    assert "planted" in failure.trace
    assert results[0] == results[1]  # the seed decides everything


def test_fuzz_guidance_keeps_inputs_that_reach_new_lines() -> None:
    target = TARGETS["dol"]
    before = sys.gettrace()
    blind = fuzz(target, SEED, 60, lambda: True, guided=False)
    guided = fuzz(target, SEED, 60, lambda: True, guided=True)
    assert sys.gettrace() is before
    assert (blind.lines, blind.pool) == (0, len(target.corpus()))
    assert guided.lines > 10
    assert guided.pool > blind.pool


def test_fuzz_stops_when_told_and_keeps_inputs_bounded() -> None:
    sizes: list[int] = []
    target = Target("sizes", lambda data: sizes.append(len(data)), lambda: [b"x" * 8_000])
    left = iter(range(300))
    result = fuzz(target, SEED, 10**9, lambda: next(left, None) is not None, guided=False)
    assert result.runs == 300
    assert max(sizes) <= INPUT_BYTES_MAX


@pytest.mark.slow
def test_fuzz_every_corpus_holds_as_it_is() -> None:
    for target in TARGETS.values():
        corpus = target.corpus()
        assert corpus, target.name
        if not target.name.startswith(("codec", "importers", "spec")):
            for data in corpus:
                target.run(data)
