"""A backend to which wetoken forwards messages. Run SIGN_KEY=... python3 backend.py 9000; Python 3.7 or later."""
import hashlib, hmac, http.server, os, re, sys, time

KEY = os.environ["SIGN_KEY"].encode()  # sign_key of the app
MOST = 4 << 20  # bytes of a body

def genuine(header, body):
    """Reports whether header, a Wetoken-Signature, shows that wetoken sent body less than five minutes ago."""
    stamp = re.match(r"t=([0-9]{1,12}),", header)
    if not KEY or not stamp or abs(time.time() - int(stamp[1])) > 300:
        return False
    want = hmac.new(KEY, stamp[1].encode() + b"." + body, hashlib.sha256).hexdigest()
    return any([hmac.compare_digest(given, want) for given in re.findall(r",v1=([0-9a-f]{64})(?![^,])", header)])

class Backend(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("Content-Length", -1))
        if not 0 <= length <= MOST:
            return self.answer(413, b"")
        body = self.rfile.read(length)
        if not genuine(self.headers.get("Wetoken-Signature", ""), body):
            return self.answer(401, b"")
        # If a request with this Wetoken-Delivery was handled before, answer as before, and do nothing else.
        print("delivery", self.headers["Wetoken-Delivery"], flush=True)
        self.answer(200, '{"MsgType":"text","Content":"got it"}'.encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Backend)
    print("listening on 127.0.0.1:%d" % server.server_port, flush=True)
    server.serve_forever()
