import static java.nio.charset.StandardCharsets.UTF_8;
import com.sun.net.httpserver.*;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.security.*;
import java.util.HexFormat;
import java.util.regex.*;
import javax.crypto.*;
import javax.crypto.spec.SecretKeySpec;

/** A backend to which wetoken forwards messages. Run SIGN_KEY=... java Backend.java 9000; Java 17 or later. */
public final class Backend {
    /** Reports whether header, a Wetoken-Signature, shows that wetoken sent body less than five minutes ago. */
    static boolean genuine(String header, byte[] body, SecretKey key) throws GeneralSecurityException {
        Matcher stamp = Pattern.compile("^t=([0-9]{1,12}),").matcher(header == null ? "" : header);
        if (!stamp.find() || Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(stamp.group(1))) > 300) return false;
        Mac mac = Mac.getInstance("HmacSHA256"); mac.init(key);
        mac.update((stamp.group(1) + ".").getBytes(UTF_8));
        byte[] want = mac.doFinal(body);
        return Pattern.compile(",v1=([0-9a-f]{64})(?![^,])").matcher(header).results()
            .anyMatch(v -> MessageDigest.isEqual(want, HexFormat.of().parseHex(v.group(1))));
    }
    static void answer(HttpExchange x, SecretKey key) throws IOException, GeneralSecurityException {
        byte[] body = x.getRequestBody().readNBytes((4 << 20) + 1);
        byte[] reply = "{\"MsgType\":\"text\",\"Content\":\"got it\"}".getBytes(UTF_8);
        String signature = x.getRequestHeaders().getFirst("Wetoken-Signature");
        int status = body.length > 4 << 20 ? 413 : genuine(signature, body, key) ? 200 : 401;
        // If a request with this Wetoken-Delivery was handled before, answer as before, and do nothing else.
        if (status == 200) System.out.println("delivery " + x.getRequestHeaders().getFirst("Wetoken-Delivery"));
        x.sendResponseHeaders(status, status == 200 ? reply.length : -1);
        try (x) { if (status == 200) x.getResponseBody().write(reply); }
    }
    public static void main(String[] args) throws IOException {
        SecretKey key = new SecretKeySpec(System.getenv("SIGN_KEY").getBytes(UTF_8), "HmacSHA256"); // sign_key of the app
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 0);
        server.createContext("/", x -> { try { answer(x, key); } catch (GeneralSecurityException e) { throw new IOException(e); } });
        server.start();
        System.out.println("listening on " + server.getAddress());
    }
}
