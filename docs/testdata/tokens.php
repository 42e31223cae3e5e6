<?php
// Asks the client for a token, or calls WeChat with it, for each line of the input.
[, $client, $url, $key, $wechat, $file] = $argv;
require $client;
while (($line = fgets(STDIN)) !== false) {
    $tokens = new Tokens($url, $key, $file); // anew, as each request of a PHP site does
    try {
        if (trim($line) === 'token') {
            echo 'ok ', $tokens->token(), "\n";
            continue;
        }
        $answer = $tokens->call(fn ($token) => json_decode(file_get_contents($wechat . $token), true));
        echo 'ok ', $answer['errcode'] ?? 0, "\n";
    } catch (RuntimeException $e) {
        echo 'error ', strtr($e->getMessage(), "\n", ' '), "\n";
    }
}
