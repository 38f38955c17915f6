/* The .bin files of torch.save: a zip with a pickle that describes the tensors (torch_pickle.c),
 * and one member for the bytes of each storage. Stored members are read straight from the file;
 * compressed ones, which torch.save does not write but other tools may, through the zip reader. */
#include "file/torch_pickle.h"
#include "file/zip_archive.h"

#include <stdio.h>
#include <string.h>

typedef struct archive {
    hone_tensor_file *file;
    hone_error *error;
    hone_zip *zip;
    hone_storage_place *places; /* what is known of each member */
    const char *root;           /* the folder that torch.save puts around its members */
    int root_length;            /* with its slash */
} archive;

/* What the first bytes say, before libzip looks for the directory at the end. */
static hone_status check_magic(const hone_tensor_file *file, hone_error *error)
{
    unsigned char magic[4] = {0};
    if (file->size >= 4)
        HONE_TRY(hone_tensor_file_read(file, magic, sizeof magic, 0, error));
    if (memcmp(magic, "PK\003\004", 4) == 0)
        return HONE_OK;
    bool legacy = magic[0] == 0x80 && magic[1] >= 2 && magic[1] <= 5;
    return hone_fail_at(
        error, HONE_INPUT, file->path, -1, 0,
        legacy ? "the file has PyTorch's format from before 1.6, which is not read; convert it in "
                 "Python: torch.save(torch.load(path, weights_only=True), path)"
               : "expected the zip that torch.save writes, found something else");
}

/* Index of the only "<root>/data.pkl". */
static hone_status find_pickle(archive *in, int64_t *out)
{
    *out = -1;
    for (int64_t i = 0; i < hone_zip_count(in->zip); i++) {
        hone_zip_member member = {0};
        HONE_TRY(hone_zip_member_at(in->zip, i, &member, in->error));
        const char *slash = strchr(member.name, '/');
        if (slash == NULL)
            continue;
        if (strcmp(slash, "/constants.pkl") == 0)
            return hone_fail_at(in->error, HONE_INPUT, in->file->path, -1, -1,
                                "a TorchScript archive; expected a state dict: "
                                "torch.save(model.state_dict(), path)");
        if (strcmp(slash, "/data.pkl") != 0)
            continue;
        if (*out >= 0)
            return hone_fail_at(in->error, HONE_INPUT, in->file->path, -1, -1,
                                "the zip has two members data.pkl; expected one");
        *out = i;
        in->root = member.name;
        in->root_length = (int)(slash - member.name) + 1;
    }
    if (*out < 0)
        return hone_fail_at(in->error, HONE_INPUT, in->file->path, -1, -1,
                            "the zip has no data.pkl; expected what torch.save writes");
    return HONE_OK;
}

/* Index of the member of that name inside the root, or -1. */
static int64_t find_member(const archive *in, const char *name, size_t length)
{
    char path[1024];
    if ((size_t)in->root_length + length >= sizeof path || memchr(name, '\0', length) != NULL)
        return -1;
    snprintf(path, sizeof path, "%.*s%.*s", in->root_length, in->root, (int)length, name);
    return hone_zip_find(in->zip, path);
}

/* The member "byteorder", which files from before PyTorch 2.1 lack. */
static hone_status check_byte_order(archive *in)
{
    char text[8] = {0};
    int64_t index = find_member(in, "byteorder", 9);
    if (index < 0)
        return HONE_OK;
    hone_zip_member member = {0};
    HONE_TRY(hone_zip_member_at(in->zip, index, &member, in->error));
    if (member.size < (int64_t)sizeof text)
        HONE_TRY(hone_zip_load(in->zip, index, text, (size_t)member.size, in->error));
    if (strcmp(text, "little") != 0)
        return hone_fail_at(in->error, HONE_INPUT, in->file->path, -1, -1,
                            "expected byte order 'little', found %s",
                            strcmp(text, "big") == 0 ? "'big'" : "something else");
    return HONE_OK;
}

/* Gives a compressed member a number among the payloads of the file. */
static hone_status add_packed(hone_tensor_file *file, int64_t index, hone_storage_place *place,
                              hone_error *error)
{
    void *array = file->packed;
    if (!hone_array_reserve(&array, &file->packed_capacity, file->packed_count + 1,
                            sizeof *file->packed))
        return hone_fail_memory(error, "members of a zip", file->packed_count * sizeof(int64_t));
    file->packed = array;
    file->packed[file->packed_count++] = index;
    place->shard = (int)file->packed_count;
    place->offset = 0;
    return HONE_OK;
}

/* The callback of the pickle: storages are members "<root>/data/<key>". */
static hone_status locate(void *context, const char *key, size_t length, hone_storage_place *place,
                          hone_error *error)
{
    archive *in = context;
    char name[256];
    int64_t index = -1;
    if (length + sizeof "data/" <= sizeof name) {
        memcpy(name, "data/", 5);
        memcpy(name + 5, key, length);
        index = find_member(in, name, length + 5);
    }
    *place = (hone_storage_place){.found = false};
    if (index < 0)
        return HONE_OK;
    hone_storage_place *known = &in->places[index];
    if (!known->found) {
        hone_zip_member member = {0};
        int64_t offset = -1;
        HONE_TRY(hone_zip_member_at(in->zip, index, &member, error));
        if (!member.packed)
            HONE_TRY(hone_zip_locate(in->zip, index, &offset, error));
        *known = (hone_storage_place){.found = true, .offset = offset, .size = member.size};
        if (offset < 0)
            HONE_TRY(add_packed(in->file, index, known, error));
    }
    *place = *known;
    return HONE_OK;
}

static hone_status run_pickle(archive *in, int64_t index)
{
    hone_zip_member member = {0};
    HONE_TRY(hone_zip_member_at(in->zip, index, &member, in->error));
    int64_t limit = in->file->size + ((int64_t)64 << 20);
    limit = limit < HONE_MAX_HEADER ? limit : HONE_MAX_HEADER;
    if (member.size > limit)
        return hone_fail_at(in->error, HONE_INPUT, in->file->path, -1, -1,
                            "data.pkl has %lld bytes; expected at most %lld",
                            (long long)member.size, (long long)limit);
    hone_pickle pickle = {
        .size = (size_t)member.size, .offset = -1, .locate = locate, .context = in};
    if (!member.packed)
        HONE_TRY(hone_zip_locate(in->zip, index, &pickle.offset, in->error));
    char *bytes = hone_alloc(pickle.size);
    if (bytes == NULL)
        return hone_fail_memory(in->error, "a pickle", pickle.size);
    pickle.bytes = bytes;
    hone_status status = hone_zip_load(in->zip, index, bytes, pickle.size, in->error);
    if (status == HONE_OK)
        status = hone_pickle_run(&pickle, in->file, in->error);
    hone_free(bytes);
    return status;
}

static hone_status parse(archive *in)
{
    int64_t index = -1;
    HONE_TRY(check_magic(in->file, in->error));
    HONE_TRY(hone_zip_open(in->file, &in->zip, in->error));
    size_t count = (size_t)hone_zip_count(in->zip);
    in->places = hone_alloc_array(count, sizeof *in->places);
    if (in->places == NULL)
        return hone_fail_memory(in->error, "members of a zip", count * sizeof *in->places);
    HONE_TRY(find_pickle(in, &index));
    HONE_TRY(check_byte_order(in));
    HONE_TRY(run_pickle(in, index));
    return hone_tensor_file_sort(in->file, in->error);
}

hone_status hone_torch_parse(hone_tensor_file *file, hone_error *error)
{
    archive in = {.file = file, .error = error};
    hone_status status = parse(&in);
    hone_free(in.places);
    hone_zip_close(in.zip);
    return status;
}
