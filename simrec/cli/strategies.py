"""`simrec strategies`: what can be named in a study, in one sentence each."""

import typer


def strategies() -> None:
    """List every online strategy and control with what it does and where it comes from."""
    from rich.console import Console
    from rich.table import Table

    from simrec.agents.adapt import all_strategies
    from simrec.stages.controls import CONTROLS

    console = Console(width=None if typer.get_text_stream("stdout").isatty() else 160)
    online = [(name, entry.sentence, entry.source) for name, entry in all_strategies().items()]
    fixed = [(name, control.sentence, control.source) for name, control in CONTROLS.items()]
    for title, rows in (
        ("Strategies (online.strategies)", online),
        ("Controls (online.controls)", fixed),
    ):
        table = Table("name", "what it does", "source", title=title, box=None)
        for row in sorted(rows):
            table.add_row(*row)
        console.print(table)
    console.print(
        "Any strategy that is pretrained may be named NAME-shuffled: its teacher's labels are then "
        "dealt out at random."
    )
