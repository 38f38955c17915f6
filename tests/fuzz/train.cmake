hone_fuzz(fuzz_checkpoint ${CMAKE_CURRENT_LIST_DIR}/checkpoint_fuzz.c
    ${CMAKE_CURRENT_LIST_DIR}/corpus/checkpoint)
