hone_fuzz(fuzz_adapter_config ${CMAKE_CURRENT_LIST_DIR}/adapter_config_fuzz.c
    ${CMAKE_CURRENT_LIST_DIR}/corpus/adapter_config)
