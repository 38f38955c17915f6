hone_fuzz(fuzz_jsonl_line ${CMAKE_CURRENT_LIST_DIR}/jsonl_line_fuzz.c
    ${CMAKE_CURRENT_LIST_DIR}/corpus/jsonl_line)
hone_fuzz(fuzz_zstd_lines ${CMAKE_CURRENT_LIST_DIR}/zstd_lines_fuzz.c
    ${CMAKE_CURRENT_LIST_DIR}/corpus/zstd_lines)
hone_fuzz(fuzz_csv ${CMAKE_CURRENT_LIST_DIR}/csv_fuzz.c ${CMAKE_CURRENT_LIST_DIR}/corpus/csv)
