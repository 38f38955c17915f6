hone_fuzz(fuzz_score ${CMAKE_CURRENT_LIST_DIR}/score_fuzz.c ${CMAKE_CURRENT_LIST_DIR}/corpus/score)
