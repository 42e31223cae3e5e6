"""Gets the access token of an app from wetoken. Python 3.8 or later, without other packages."""
import http.client, json, threading, time, urllib.error, urllib.request

class Tokens:
    def __init__(self, url, key):  # such as http://wetoken:8081/app/shop/token, and a key with scopes token and renew
        self.url, self.key, self.lock = url, key, threading.Lock()
        self.value, self.ask_at, self.end = None, 0, 0

    def token(self, refused=None):
        """Returns the token, or one other than the token that WeChat refused."""
        with self.lock:
            now = time.monotonic()
            if self.value and self.value != refused and now < self.ask_at:
                return self.value
            status, text = self.ask(refused)
            if status == 200:
                answer = json.loads(text)
                self.value, self.end = answer["access_token"], now + answer["expires_in"]
                self.ask_at = self.end - 60
            elif self.value and now < self.end and (status in (0, 429) or status >= 500):
                self.ask_at = now + 5  # keeps the old token, and asks wetoken again soon
            else:
                raise RuntimeError("no token: HTTP status %d: %.300s" % (status, text))
            return self.value

    def call(self, api):
        """Returns the answer of api(token), a dict from WeChat; api is called once more if the token is refused."""
        answer = api(token := self.token())
        return api(self.token(refused=token)) if answer.get("errcode") in (40001, 40014, 42001) else answer

    def ask(self, refused):
        body = json.dumps({"refused": refused}).encode() if refused else None  # a POST with it, otherwise a GET
        request = urllib.request.Request(self.url, body, {"Authorization": "Bearer " + self.key})
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return 200, response.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as e:
            return 0, str(e)
