"""A version of a service, to try `glidepath local` with: service.py PORT VERSION [SHARE OF ERRORS]"""

import random
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, version = int(sys.argv[1]), sys.argv[2]
errors = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        bad = random.random() < errors
        body = f"{'sorry' if bad else 'hello'} from {version}\n".encode()
        self.send_response(500 if bad else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", port), Service).serve_forever()
