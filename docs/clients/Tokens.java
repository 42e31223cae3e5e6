import java.io.IOException;
import java.net.URI;
import java.net.http.*;
import java.time.Duration;
import java.util.regex.*;

/** Gets the access token of an app from wetoken. Java 11 or later; it reads JSON without a library. */
public final class Tokens {
    public interface Api { String call(String token) throws IOException, InterruptedException; } // returns WeChat's answer
    private static final Pattern GIVEN = Pattern.compile("\"access_token\":\"([^\"]+)\",\"expires_in\":(\\d+)");
    private static final Pattern REFUSED = Pattern.compile("\"errcode\"\\s*:\\s*(40001|40014|42001)\\b");
    private final HttpClient http = HttpClient.newHttpClient();
    private final String url, key;
    private String value; private long askAt, end; // in seconds
    /** The url is such as http://wetoken:8081/app/shop/token, the key a caller key with the scopes token and renew. */
    public Tokens(String url, String key) { this.url = url; this.key = key; }
    /** Returns the token, or one other than the token that WeChat refused, if that is not null. */
    public synchronized String token(String refused) throws IOException, InterruptedException {
        long now = System.nanoTime() / 1_000_000_000;
        if (value != null && !value.equals(refused) && now < askAt) return value;
        var ask = HttpRequest.newBuilder(URI.create(url)).header("Authorization", "Bearer " + key).timeout(Duration.ofSeconds(10));
        if (refused != null) ask.POST(HttpRequest.BodyPublishers.ofString("{\"refused\":\"" + refused + "\"}"));
        int status = 0; String text;
        try {
            HttpResponse<String> answer = http.send(ask.build(), HttpResponse.BodyHandlers.ofString());
            status = answer.statusCode(); text = answer.body();
        } catch (IOException e) { text = e.toString(); }
        Matcher given = GIVEN.matcher(text);
        if (status == 200 && given.find()) {
            value = given.group(1); end = now + Long.parseLong(given.group(2)); askAt = end - 60;
        } else if (value != null && now < end && (status == 0 || status == 429 || status >= 500)) askAt = now + 5; // keeps it
        else throw new IOException("no token: HTTP status " + status + ": " + text);
        return value;
    }
    /** Returns the answer of api, which is called once more if WeChat refuses the token. */
    public String call(Api api) throws IOException, InterruptedException {
        String token = token(null), answer = api.call(token);
        return REFUSED.matcher(answer).find() ? api.call(token(token)) : answer;
    }
}
