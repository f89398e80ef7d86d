"""The dashboard's server: `simrec app` calls `python -m simrec.app.serve run app/main.py ...`.

It is Streamlit's own command. What pages need and takes long to import is imported before the
server listens, so that no page waits for it.
"""

from importlib import import_module

HEAVY = ("pandas", "plotly.graph_objects", "pyarrow.parquet", "simrec.compare", "simrec.config")


def main() -> None:
    """Import what is heavy, then hand over to Streamlit."""
    for name in HEAVY:
        import_module(name)
    from streamlit.web.cli import main as streamlit

    streamlit(prog_name="streamlit")


if __name__ == "__main__":
    main()
