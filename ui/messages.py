"""What went wrong, in a visitor's words."""

from html import escape

from mvae.config import PROMPT_MAX_CHARACTERS
from mvae.errors import MvaeError, PromptError
from ui.names import EXAMPLES


def notice(error: str = "") -> str:
    """A line for the reader about what to change; nothing when all is well."""
    return f'<div class="notice" role="alert">{escape(error)}</div>' if error else ""


def explain(error: MvaeError, prompt: str) -> str:
    """A typed error that drawing ``prompt`` raised."""
    if isinstance(error, PromptError):
        if not prompt.strip():
            return f"Type a few words first, for example “{EXAMPLES[0]}”."
        if len(prompt) > PROMPT_MAX_CHARACTERS:
            return f"That prompt has {len(prompt)} characters; the models read up to {PROMPT_MAX_CHARACTERS}."
    return str(error)
