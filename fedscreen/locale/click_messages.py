"""What click itself says, repeated here so that it stands in our catalogue; nothing imports this module.

click looks its words up in the text domain that `fedscreen.language` sets.
"""

from gettext import gettext as _
from gettext import ngettext

_("Usage:")
_("Options")
_("Commands")
_("Positional arguments")
_("Aborted!")
_("Error: {message}")
_("Try '{command} {option}' for help.")
_("Show this message and exit.")
_("Show the version and exit.")
_("%(prog)s, version %(version)s")
_("required")
_("default: {default}")
_("env var: {var}")
_("(dynamic)")
_("deprecated")
_("Missing command.")
_("Missing argument")
_("Missing option")
_("Missing parameter")
_("Missing {param_type}")
_("Missing parameter: {param_name}")
_("No such option {name!r}.")
_("No such command {name!r}.")
_("Invalid value: {message}")
_("Invalid value for {param_hint}: {message}")
_("Could not open file {filename!r}: {message}")
_("Option {name!r} does not take a value.")
_("{value!r} is not a valid {number_type}.")
_("{value} is not in the range {range}.")
_("{name} {filename!r} does not exist.")
_("{name} {filename!r} is a file.")
_("{name} {filename!r} is a directory.")
_("{name} {filename!r} is not readable.")
_("{name} {filename!r} is not writable.")
_("unknown error")
_("Do you want to continue?")
_("Repeat for confirmation")
_("Error: The two entered values do not match.")
_("Error: invalid input")
ngettext("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)", 2)
ngettext("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})", 2)
ngettext("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments.", 2)
ngettext("{value!r} is not {choice}.", "{value!r} is not one of {choices}.", 2)
ngettext(
    "{value!r} does not match the format {format}.", "{value!r} does not match the formats {formats}.", 2
)
