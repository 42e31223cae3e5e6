package handlers

// EnglishWords are the translations of the pages.
var EnglishWords = englishWords
