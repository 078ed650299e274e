"""The committed sample of drawings, laid out as the data build lays out its folder."""

from pathlib import Path

from mvae.data.shards import read_shard, write_shard

SAMPLE = Path(__file__).parents[1] / "data" / "emoji-sample.tar"
TINY_ZOO = Path(__file__).parents[1] / "data" / "tiny-zoo"


def sample_folder(folder: Path) -> Path:
    """A folder with the shard ``train-sample-00000.tar``: the drawings of the train styles."""
    write_shard(folder / "train-sample-00000.tar", [sample for sample in read_shard(SAMPLE) if sample.meta["role"] == "train"])
    return folder
