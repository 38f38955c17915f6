/* Any bytes as a .bin file, and, unless they start like a zip, as the pickle inside one: there the
 * checksum of the zip would stop most mutations. */
#include "source_fuzz.h"

#include "file/torch_pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STORAGE_BYTES 96

/* Every storage exists, and has STORAGE_BYTES. */
static hone_status locate(void *context, const char *key, size_t length, hone_storage_place *place,
                          hone_error *error)
{
    (void)context;
    (void)error;
    volatile char touched = 0;
    for (size_t i = 0; i < length; i++)
        touched = key[i];
    (void)touched;
    *place = (hone_storage_place){.found = true, .size = STORAGE_BYTES};
    return HONE_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 2 && data[0] == 'P' && data[1] == 'K') {
        check_source("fuzz.bin", data, size, 1);
        return 0;
    }
    hone_tensor_file file;
    hone_error error;
    require(hone_tensor_file_borrow(&file, "fuzz.bin", data, size, &error) == HONE_OK);
    hone_pickle pickle = {(const char *)data, size, -1, locate, NULL};
    error.message[0] = '\0';
    hone_status status = hone_pickle_run(&pickle, &file, &error);
    if (status == HONE_OK)
        status = hone_tensor_file_sort(&file, &error);
    require(status == HONE_OK || (status == HONE_INPUT && error.message[0] != '\0'));
    for (size_t i = 0; status == HONE_OK && i < file.count; i++) {
        const hone_stored_tensor *tensor = &file.tensors[i];
        int64_t width = (int64_t)hone_dtype_size(tensor->dtype);
        require(tensor->offset >= 0 && tensor->offset <= STORAGE_BYTES);
        check_tensor(tensor, (STORAGE_BYTES - tensor->offset) / width);
    }
    hone_tensor_file_close(&file);
    return 0;
}
