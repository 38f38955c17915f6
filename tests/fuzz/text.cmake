set(corpus ${CMAKE_CURRENT_LIST_DIR}/corpus)
hone_fuzz(fuzz_tokenizer_json ${CMAKE_CURRENT_LIST_DIR}/tokenizer_json_fuzz.c
    ${corpus}/tokenizer_json)
hone_fuzz(fuzz_vocab_merges ${CMAKE_CURRENT_LIST_DIR}/vocab_merges_fuzz.c ${corpus}/vocab_merges)
hone_fuzz(fuzz_tokenize ${CMAKE_CURRENT_LIST_DIR}/tokenize_fuzz.c ${corpus}/tokenize)
hone_fuzz(fuzz_spiece ${CMAKE_CURRENT_LIST_DIR}/spiece_fuzz.c ${corpus}/spiece)
hone_fuzz(fuzz_charsmap ${CMAKE_CURRENT_LIST_DIR}/charsmap_fuzz.c ${corpus}/charsmap)
