hone_fuzz(fuzz_model_config ${CMAKE_CURRENT_LIST_DIR}/model_config_fuzz.c
    ${CMAKE_CURRENT_LIST_DIR}/corpus/model_config)
