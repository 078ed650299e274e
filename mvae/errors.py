"""The one exception tree of mVAE.

::

    MvaeError
    ├── InputError           something the caller gave is wrong (also a ValueError); exit code 2 on the command line
    │   ├── PromptError      empty or over-long prompt
    │   ├── OptionError      seed, guidance, temperature, top-k, style, count … out of range
    │   ├── ImageError       unreadable, exotic, animated, over-large or wrongly sized image
    │   ├── TokensError      a token sequence of the wrong length, range or latent
    │   └── DataError        captions, folders, shards or recipes that cannot be used
    ├── ZooError             a model entry cannot be used
    │   ├── UnknownModelError   no such size-level (also a ValueError); exit code 2
    │   └── IntegrityError      a file differs from its manifest, or the manifest is malformed
    ├── FetchError           a package could not be fetched or fails its checksum
    ├── ExportError          an exported graph differs from the trained module
    └── TrainingError        a run cannot start, resume or go on (for example a non-finite loss)

Every message names what was got and what was expected.
"""


class MvaeError(Exception):
    """Base class of every error that mVAE raises on purpose."""


class InputError(MvaeError, ValueError):
    """Something the caller gave is wrong."""


class PromptError(InputError):
    """The prompt is empty or longer than the stated limit."""


class OptionError(InputError):
    """An option (seed, guidance, temperature, top-k, style, count) is out of range."""


class ImageError(InputError):
    """An image is unreadable, animated, of an exotic format, too large, or of the wrong size."""


class TokensError(InputError):
    """A token sequence has the wrong length or range, or belongs to another latent."""


class DataError(InputError):
    """Captions, folders, shards or recipes that cannot be used."""


class ZooError(MvaeError):
    """A model entry cannot be used."""


class UnknownModelError(ZooError, InputError):
    """No entry of that name is in the zoo."""


class IntegrityError(ZooError):
    """A file differs from its manifest, or the manifest itself is malformed."""


class FetchError(MvaeError):
    """A package could not be fetched, or fails its recorded checksum."""


class ExportError(MvaeError):
    """An exported graph does not reproduce the module it was exported from."""


class TrainingError(MvaeError):
    """A training run cannot start, resume or go on."""
