"""``python -m docs.generator`` writes the generated pages; with ``--project`` the project pages of the site, too."""

from __future__ import annotations

import argparse

from docs.generator.pages import GENERATED, write_pages
from docs.generator.project import PROJECT, write_project_pages


def main() -> None:
    """Parse the arguments, write the pages, and print which ones changed."""
    parser = argparse.ArgumentParser(prog="python -m docs.generator", description=__doc__)
    parser.add_argument(
        "--project", action="store_true", help="only write docs/project from CONTRIBUTING, CHANGELOG and SECURITY"
    )
    if parser.parse_args().project:
        print(f"{len(write_project_pages())} pages in {PROJECT.name}/")
        return
    changed = write_pages()
    print(f"{GENERATED.name}/: " + (", ".join(changed) if changed else "nothing changed"))


if __name__ == "__main__":
    main()
