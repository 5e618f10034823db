"""Google Cloud Storage for tests: the emulator as a process, and a proxy before it that makes things go wrong."""

from tests.support.gcs.emulator import Emulator
from tests.support.gcs.proxy import Fault, Proxy

__all__ = ["Emulator", "Fault", "Proxy"]
