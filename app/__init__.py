"""The Streamlit dashboard over run folders."""
