/** Asks the client for a token, or calls WeChat with it, for each line of the input. The test puts it before the client. */
class Run {
    public static void main(String[] args) throws Exception {
        Tokens tokens = new Tokens(args[0], args[1]);
        HttpClient http = HttpClient.newHttpClient();
        var in = new java.util.Scanner(System.in);
        while (in.hasNextLine()) {
            try {
                if (in.nextLine().equals("token")) {
                    System.out.println("ok " + tokens.token(null));
                    continue;
                }
                String answer = tokens.call(token -> http.send(HttpRequest.newBuilder(URI.create(args[2] + token)).build(),
                    HttpResponse.BodyHandlers.ofString()).body());
                Matcher code = Pattern.compile("\"errcode\":(-?\\d+)").matcher(answer);
                System.out.println("ok " + (code.find() ? code.group(1) : "0"));
            } catch (IOException e) {
                System.out.println("error " + e.getMessage().replace("\n", " "));
            }
        }
    }
}

