set(corpus ${CMAKE_CURRENT_LIST_DIR}/corpus)
hone_fuzz(fuzz_json ${CMAKE_CURRENT_LIST_DIR}/json_fuzz.c ${corpus}/json)
hone_fuzz(fuzz_yaml ${CMAKE_CURRENT_LIST_DIR}/yaml_fuzz.c ${corpus}/yaml)
