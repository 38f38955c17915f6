set(corpus ${CMAKE_CURRENT_LIST_DIR}/corpus)
hone_fuzz(fuzz_safetensors ${CMAKE_CURRENT_LIST_DIR}/safetensors_fuzz.c ${corpus}/safetensors)
hone_fuzz(fuzz_torch_pickle ${CMAKE_CURRENT_LIST_DIR}/torch_pickle_fuzz.c ${corpus}/torch_pickle)
hone_fuzz(fuzz_shard_index ${CMAKE_CURRENT_LIST_DIR}/shard_index_fuzz.c ${corpus}/shard_index)
