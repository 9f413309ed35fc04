"""Lets the tests of this package find their kit."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # tests are imported by path; their kit is a module beside them
