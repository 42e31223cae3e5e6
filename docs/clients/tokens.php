<?php
// Gets the access token of an app from wetoken, and keeps it in a file that all PHP processes share. PHP 8.0 or later.
final class Tokens
{
    // $url is such as http://wetoken:8081/app/shop/token, $key a caller key with the scopes token and renew. $file holds
    // the token: it must be in a folder of this program alone.
    public function __construct(private string $url, private string $key, private string $file) {}

    public function token(?string $refused = null): string // or one other than the token that WeChat refused
    {
        $f = fopen($this->file, 'c+');
        chmod($this->file, 0600);
        flock($f, LOCK_EX); // until the end of this function
        $kept = json_decode(stream_get_contents($f), true) ?? ['value' => null, 'ask_at' => 0, 'end' => 0];
        $now = time();
        if ($kept['value'] && $kept['value'] !== $refused && $now < $kept['ask_at']) return $kept['value'];
        [$status, $text] = $this->ask($refused);
        if ($status === 200) {
            ['access_token' => $value, 'expires_in' => $life] = json_decode($text, true, 8, JSON_THROW_ON_ERROR);
            $kept = ['value' => $value, 'ask_at' => $now + $life - 60, 'end' => $now + $life];
        } elseif ($kept['value'] && $now < $kept['end'] && ($status === 0 || $status === 429 || $status >= 500)) {
            $kept['ask_at'] = $now + 5; // keeps the old token, and asks wetoken again soon
        } else throw new RuntimeException("no token: HTTP status $status: " . substr($text, 0, 300));
        ftruncate($f, 0) && rewind($f) && fwrite($f, json_encode($kept));
        return $kept['value'];
    }
    public function call(callable $api): array // the answer of $api($token), which is called once more if the token is refused
    {
        $answer = $api($token = $this->token());
        return in_array($answer['errcode'] ?? 0, [40001, 40014, 42001], true) ? $api($this->token($token)) : $answer;
    }
    private function ask(?string $refused): array // status and body
    {
        $http = ['header' => "Authorization: Bearer $this->key\r\nContent-Type: application/json", 'timeout' => 10, 'ignore_errors' => true];
        if ($refused !== null) $http += ['method' => 'POST', 'content' => json_encode(['refused' => $refused])];
        if (!$f = @fopen($this->url, 'r', false, stream_context_create(['http' => $http]))) return [0, 'wetoken is not reached'];
        return [(int) explode(' ', stream_get_meta_data($f)['wrapper_data'][0])[1], stream_get_contents($f)];
    }
}
