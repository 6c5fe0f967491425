"""Put this folder and the project on PYTHONPATH, and a Python program starts with the network guard in place."""

from tests.network_guard import install

install()
