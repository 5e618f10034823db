"""What a person types.

Reading order: `exits` (how commands end), `daemon` (`distevod`: `start`, `stop`, `config`), `main` (`distevo-ctl`), `client`
(talking to the daemon), `commands` (one file a noun), `screen`, `draw` and `svg` (what they show).
"""
