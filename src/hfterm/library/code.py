"""Scripts that do what the Library screen shows."""

from __future__ import annotations

from hfterm.hub.repo_types import RepoPlan

LIST = """\
from huggingface_hub import scan_cache_dir

cache = scan_cache_dir()
for repo in sorted(cache.repos, key=lambda repo: -repo.last_accessed):
    print(f"{repo.repo_type:8} {repo.repo_id:40} {repo.size_on_disk / 1e6:10,.1f} MB")
print(f"{cache.size_on_disk / 1e6:,.1f} MB")
"""


def download_code(plan: RepoPlan) -> str:
    """What brings a plan's files."""
    names = "".join(f"        {file.name!r},\n" for file in plan.files)
    return (
        "from huggingface_hub import snapshot_download\n\n"
        "folder = snapshot_download(\n"
        f"    {plan.ref!r},\n"
        f"    repo_type={plan.kind!r},\n"
        f"    revision={plan.commit!r},\n"
        f"    allow_patterns=[\n{names}    ],\n"
        ")\n"
        "print(folder)\n"
    )


def rows_code(source: str, offset: int, count: int) -> str:
    """What prints the rows of a page."""
    suffix = source.rsplit(".", 1)[-1].lower()
    loader = {"csv": "csv", "tsv": "csv", "parquet": "parquet", "txt": "text"}.get(suffix, "json")
    more = ', sep="\\t"' if suffix == "tsv" else ""
    return (
        "from datasets import load_dataset\n\n"
        f'rows = load_dataset({loader!r}, data_files={source!r}, split="train"{more})\n'
        f"for row in rows.select(range({offset}, min({offset + count}, len(rows)))):\n"
        "    print(row)\n"
    )
