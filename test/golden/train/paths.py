"""Where things are: the data folder (TABHOPPER_DATA, or ../shared/data beside the project root) and the model folders."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TABHOPPER_DATA", ROOT.parent / "shared" / "data"))
STORIES = DATA / "text" / "tinystories.txt"
HELDOUT = DATA / "text" / "tinystories-heldout.txt"
MODEL = ROOT / "public" / "models" / "tiny-llama"
GPTJ = ROOT / "public" / "models" / "tiny-gptj"
