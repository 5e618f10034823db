"""What a person types: `distevod`, which runs a platform, and `distevo-ctl`, which talks to it.

Reading order: `exits` (how every command ends), `daemon` and `main` (the two groups of commands), `setting_options`,
`start`, `stop`, `config_command` (the commands of `distevod`), `target` and `client` (finding a daemon and asking it),
`files` (what the user names on a command line), `screen`, `panels`, `draw`, `svg`, `bar` (what is shown), and the
package `commands` (those of `distevo-ctl`, by noun).

Every module is imported by the command line's first millisecond, so each keeps its heavy imports (zmq, rich, problems)
inside the functions that need them.
"""
