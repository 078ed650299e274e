"""The Gradio app: one file per tab, plus what the tabs share. No torch."""
