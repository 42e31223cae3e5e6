# Asks the client for a token, or calls WeChat with it, for each line of the input.
import importlib.util, json, sys, urllib.request

file, url, key, wechat = sys.argv[1:5]
spec = importlib.util.spec_from_file_location("client", file)
client = importlib.util.module_from_spec(spec)
spec.loader.exec_module(client)
tokens = client.Tokens(url, key)
for line in sys.stdin:
    try:
        if line.strip() == "token":
            print("ok", tokens.token(), flush=True)
        else:
            answer = tokens.call(lambda token: json.load(urllib.request.urlopen(wechat + token)))
            print("ok", answer.get("errcode", 0), flush=True)
    except RuntimeError as e:
        print("error", str(e).replace("\n", " "), flush=True)
