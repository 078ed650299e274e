"""The model card says what the entry's own files say."""

import json
import shutil
from pathlib import Path

import pytest

from mvae.errors import IntegrityError
from zoo import card, manifest
from zoo.shortcomings import bench_times, shortcomings

TINY = Path(__file__).resolve().parents[1] / "data" / "tiny-zoo" / "tiny"


@pytest.fixture
def entry(tmp_path):
    return Path(shutil.copytree(TINY, tmp_path / "tiny"))


def test_the_committed_card_is_the_generated_one():
    assert (TINY / card.CARD).read_text("utf-8") == card.card(TINY)


def test_the_card_follows_the_files(entry):
    (entry / "onnx" / "vae_decoder_int8.onnx").write_bytes(b"x" * 1_234_567)
    parity = json.loads((entry / "parity.json").read_text())
    parity["int8"]["decoded_psnr"] = 12.3
    (entry / "parity.json").write_text(json.dumps(parity))
    manifest.refresh(entry)
    assert card.main([str(entry)]) == 0
    text = (entry / card.CARD).read_text("utf-8")
    assert "| 1,234,567 |" in text and "| 12.3 |" in text
    assert all(line in text for line in manifest.verify(entry).credits)


def test_the_memory_is_told_of(memory_zoo):
    entry = memory_zoo / "tiny-memory"
    text, size = card.card(entry), (entry / "memory.npz").stat().st_size
    assert f"memory.npz` ({size:,} bytes" in text and "2 pages of tokens" in text and "at half size" in text
    assert "memory.npz" not in card.card(TINY)


def test_a_level_that_is_not_there_is_not_claimed(entry):
    for path in (entry / "onnx").glob("*_fp16.onnx"):
        path.unlink()
    manifest.refresh(entry)
    table = card.card(entry).split("## Levels")[1].split("## Agreement")[0]
    assert "| fp16 |" not in table and "| int8 |" in table


def test_a_malformed_entry_is_refused(entry, capsys):
    (entry / "parity.json").write_text("[]")
    with pytest.raises(IntegrityError, match=r"parity\.json: expected a JSON object, got list"):
        card.card(entry)
    before = (entry / card.CARD).read_bytes()
    assert card.main([str(entry)]) == 1 and "parity.json" in capsys.readouterr().err
    assert (entry / card.CARD).read_bytes() == before
    assert card.main([]) == 2


def test_a_level_that_is_not_smaller_or_slower_says_so(tmp_path):
    sizes = {"a-fp32": 100, "a-fp16": 100, "a-int8": 30, "b-int8": 500, "a-pruned": 20}
    times = {"a-fp32": 10.0, "a-fp16": 10.4, "a-int8": 12.0, "b-int8": 90.0}
    assert shortcomings(sizes, times) == {
        "a-fp16": ["not smaller than a-fp32"],
        "a-int8": ["slower than a-fp32 (12 against 10 ms)", "slower than a-fp16 (12 against 10 ms)"],
    }
    assert shortcomings(sizes, {}) == {"a-fp16": ["not smaller than a-fp32"]} and bench_times(tmp_path) == {}
    (tmp_path / "bench-x-2026-01-01.csv").write_text("model,total_ms_p50\na-fp32,1.5\n")
    (tmp_path / "bench-y-2025-12-31.csv").write_text("model,total_ms_p50\na-fp32,9\n")
    assert bench_times(tmp_path) == {"a-fp32": 1.5}
