hone_fuzz(fuzz_table ${CMAKE_CURRENT_LIST_DIR}/table_fuzz.c ${CMAKE_CURRENT_LIST_DIR}/corpus/table)
