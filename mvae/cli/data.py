"""``python -m mvae data build emoji --out data/emoji`` or ``data build my-pictures --out data/mine``"""

from mvae.data.cli import add_arguments as configure
from mvae.data.cli import run

__all__ = ["configure", "run"]
