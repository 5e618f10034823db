"""`distevod`: the daemon of one platform, and what is done to it from the same machine."""

from distevo_ctl.config_command import config_command
from distevo_ctl.exits import ExitCodeGroup
from distevo_ctl.start import start
from distevo_ctl.stop import stop

HELP = """Run one platform of a distevo cluster: islands of programs, evolving in worker processes.

\b
  distevod start             in the foreground, with its log on the terminal
  distevod start --detach    in the background
  distevod stop              checkpoint and end
  distevod config --explain  every setting, with its reasons

Runs are submitted and watched with distevo-ctl."""

main = ExitCodeGroup("distevod", commands=[start, stop, config_command], help=HELP)

if __name__ == "__main__":
    main(prog_name="distevod")
