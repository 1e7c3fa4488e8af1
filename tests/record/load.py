"""Sends requests through Envoy at a steady rate, whatever the answers do: load.py HOST RATE."""

import http.client
import sys
import threading
import time

HOST, RATE, THREADS = sys.argv[1], float(sys.argv[2]), 8


def send(number):
    connection, due = None, time.monotonic() + number / RATE
    while True:
        time.sleep(max(0, due - time.monotonic()))
        due += THREADS / RATE
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", 80, timeout=5)
            connection.request("GET", "/", headers={"Host": HOST})
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            connection = None


for number in range(THREADS):
    threading.Thread(target=send, args=(number,), daemon=True).start()
threading.Event().wait()
