"""``python -m handviz``."""

from handviz.cli.main import entry

raise SystemExit(entry())
