hone_fuzz(fuzz_study ${CMAKE_CURRENT_LIST_DIR}/study_fuzz.c ${CMAKE_CURRENT_LIST_DIR}/corpus/study)
