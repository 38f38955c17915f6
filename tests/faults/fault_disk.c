/* See fault_disk.h. Nodes are files and folders; each knows what is safe, what it is now, and the
 * changes that lead from one to the other. */
#include "fault_disk.h"

#include "base/files.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512, OPEN_FILES = 64 };

typedef struct node node;

typedef struct content {
    char *bytes;
    size_t size;
} content;

typedef struct named {
    char *name;
    node *at;
} named;

typedef struct listing {
    named *entries;
    size_t count;
} listing;

typedef enum change_kind { PUT, CUT, ADD, DROP, MOVE, SWAP } change_kind;

typedef struct change {
    change_kind kind;
    size_t offset, size; /* PUT, CUT: the size that is left */
    char *data;
    char *name, *other; /* of a folder's */
    node *at;
} change;

struct node {
    bool folder;
    content safe, now;
    listing safe_names, names;
    change *changes;
    size_t change_count;
    node *next; /* of all nodes */
};

struct disk {
    char root[IO_PATH];
    node *top, *all;
    struct {
        int process, descriptor;
        node *at;
    } open[OPEN_FILES];
};

/* ---- journals ----------------------------------------------------------------------------- */

static char *take_text(const char **at, size_t size)
{
    char *text = must_alloc(NULL, size + 1);
    memcpy(text, *at, size);
    text[size] = '\0';
    *at += size;
    return text;
}

void journal_load(call_journal *j, const char *path)
{
    *j = (call_journal){0};
    char *bytes = NULL;
    size_t size = 0, capacity = 0;
    if (hone_file_load(path, (size_t)1 << 30, &bytes, &size, NULL) != HONE_OK)
        abort();
    for (const char *at = bytes; at < bytes + size;) {
        if (j->count == capacity) {
            capacity = 2 * capacity + 256;
            j->entries = must_alloc(j->entries, capacity * sizeof *j->entries);
        }
        journal_entry *e = &j->entries[j->count++];
        memcpy(&e->record, at, sizeof e->record);
        at += sizeof e->record;
        e->path = take_text(&at, e->record.path);
        e->other = take_text(&at, e->record.other);
        e->data = take_text(&at, (size_t)e->record.size);
    }
    hone_free(bytes);
}

void journal_free(call_journal *j)
{
    for (size_t i = 0; i < j->count; i++) {
        free(j->entries[i].path);
        free(j->entries[i].other);
        free(j->entries[i].data);
    }
    free(j->entries);
    *j = (call_journal){0};
}

/* ---- contents and names ------------------------------------------------------------------- */

static void set_content(content *to, const char *bytes, size_t size)
{
    to->bytes = must_alloc(to->bytes, size + 1);
    if (size > 0)
        memcpy(to->bytes, bytes, size);
    to->size = size;
}

static void resize(content *c, size_t size)
{
    c->bytes = must_alloc(c->bytes, size + 1);
    if (size > c->size)
        memset(c->bytes + c->size, 0, size - c->size);
    c->size = size;
}

static void put(content *c, size_t offset, const char *data, size_t size)
{
    if (offset + size > c->size)
        resize(c, offset + size);
    memcpy(c->bytes + offset, data, size);
}

static named *find_name(const listing *l, const char *name)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->entries[i].name, name) == 0)
            return &l->entries[i];
    return NULL;
}

static void set_name(listing *l, const char *name, node *at)
{
    named *found = find_name(l, name);
    if (found == NULL) {
        l->entries = must_alloc(l->entries, (l->count + 1) * sizeof *l->entries);
        found = &l->entries[l->count++];
        found->name = strdup(name);
    }
    found->at = at;
}

static void drop_name(listing *l, const char *name)
{
    named *found = find_name(l, name);
    if (found == NULL)
        return;
    free(found->name);
    *found = l->entries[--l->count];
}

static void free_listing(listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->entries[i].name);
    free(l->entries);
    *l = (listing){0};
}

static void copy_listing(listing *to, const listing *from)
{
    free_listing(to);
    for (size_t i = 0; i < from->count; i++)
        set_name(to, from->entries[i].name, from->entries[i].at);
}

/* What the change needs may not have reached the disk: then it has not, either. */
static void apply_name(listing *l, const change *c)
{
    named *first = find_name(l, c->name), *second;
    switch (c->kind) {
    case ADD:
        if (first == NULL)
            set_name(l, c->name, c->at);
        break;
    case DROP:
        if (first != NULL && first->at == c->at)
            drop_name(l, c->name);
        break;
    case MOVE:
        if (first != NULL && first->at == c->at) {
            drop_name(l, c->name);
            set_name(l, c->other, c->at);
        }
        break;
    case SWAP:
        second = find_name(l, c->other);
        if (first != NULL && second != NULL) {
            node *held = first->at;
            first->at = second->at;
            second->at = held;
        }
        break;
    case PUT:
    case CUT: break;
    }
}

/* ---- nodes -------------------------------------------------------------------------------- */

static node *new_node(disk *d, bool folder)
{
    node *made = must_alloc(NULL, sizeof *made);
    *made = (node){.folder = folder, .next = d->all};
    set_content(&made->safe, "", 0);
    set_content(&made->now, "", 0);
    d->all = made;
    return made;
}

static change *add_change(node *at, change_kind kind)
{
    at->changes = must_alloc(at->changes, (at->change_count + 1) * sizeof *at->changes);
    change *made = &at->changes[at->change_count++];
    *made = (change){.kind = kind};
    return made;
}

static void forget_changes(node *at)
{
    for (size_t i = 0; i < at->change_count; i++) {
        free(at->changes[i].data);
        free(at->changes[i].name);
        free(at->changes[i].other);
    }
    at->change_count = 0;
}

static void sync_node(node *at)
{
    if (at->folder)
        copy_listing(&at->safe_names, &at->names);
    else
        set_content(&at->safe, at->now.bytes, at->now.size);
    forget_changes(at);
}

/* The folder that a path is in, and the name there; the top itself has none. */
static node *find_parent(const disk *d, const char *path, char name[IO_PATH])
{
    size_t length = strlen(d->root);
    node *at = d->top;
    if (strncmp(path, d->root, length) != 0 || path[length] != '/')
        return NULL;
    for (const char *part = path + length + 1;;) {
        size_t size = strcspn(part, "/");
        snprintf(name, IO_PATH, "%.*s", (int)size, part);
        if (part[size] == '\0')
            return at;
        const named *found = find_name(&at->names, name);
        if (found == NULL || !found->at->folder)
            return NULL;
        at = found->at;
        part += size + 1;
    }
}

static node *find_node(const disk *d, const char *path)
{
    char name[IO_PATH];
    if (strcmp(path, d->root) == 0)
        return d->top;
    const node *parent = find_parent(d, path, name);
    const named *found = parent != NULL ? find_name(&parent->names, name) : NULL;
    return found != NULL ? found->at : NULL;
}

static void change_names(node *folder, change_kind kind, const char *name, const char *other,
                         node *at)
{
    change *made = add_change(folder, kind);
    made->name = strdup(name);
    made->other = strdup(other);
    made->at = at;
    apply_name(&folder->names, made);
}

/* ---- the disk ----------------------------------------------------------------------------- */

disk *disk_create(const tree *start, const char *root)
{
    disk *d = must_alloc(NULL, sizeof *d);
    *d = (disk){0};
    snprintf(d->root, sizeof d->root, "%s", root);
    d->top = new_node(d, true);
    for (size_t i = 0; i < start->count; i++) {
        char name[IO_PATH];
        node *parent = find_parent(d, path_in(root, start->items[i].path), name),
             *made = new_node(d, start->items[i].folder);
        set_name(&parent->names, name, made);
        set_content(&made->now, start->items[i].bytes, start->items[i].size);
    }
    for (node *at = d->all; at != NULL; at = at->next)
        sync_node(at);
    return d;
}

void disk_free(disk *d)
{
    for (node *at = d->all, *next; at != NULL; at = next) {
        next = at->next;
        forget_changes(at);
        free(at->changes);
        free(at->safe.bytes);
        free(at->now.bytes);
        free_listing(&at->safe_names);
        free_listing(&at->names);
        free(at);
    }
    free(d);
}

static void set_open(disk *d, const io_record *record, node *at)
{
    size_t free_place = OPEN_FILES;
    for (size_t i = 0; i < OPEN_FILES; i++) {
        if (d->open[i].at == NULL)
            free_place = i;
        else if (d->open[i].process == record->process &&
                 d->open[i].descriptor == record->descriptor)
            d->open[i].at = NULL, free_place = i;
    }
    if (free_place == OPEN_FILES)
        abort();
    d->open[free_place].process = record->process;
    d->open[free_place].descriptor = record->descriptor;
    d->open[free_place].at = at;
}

static node *get_open(const disk *d, const io_record *record)
{
    for (size_t i = 0; i < OPEN_FILES; i++)
        if (d->open[i].at != NULL && d->open[i].process == record->process &&
            d->open[i].descriptor == record->descriptor)
            return d->open[i].at;
    return NULL;
}

static void cut(node *at, size_t size)
{
    add_change(at, CUT)->size = size;
    resize(&at->now, size);
}

static bool apply_open(disk *d, const journal_entry *e)
{
    char name[IO_PATH];
    node *at = find_node(d, e->path);
    if (e->record.kind == IO_CREATE && at == NULL) {
        node *parent = find_parent(d, e->path, name);
        if (parent == NULL)
            return false;
        at = new_node(d, false);
        change_names(parent, ADD, name, "", at);
    } else if (at != NULL && e->record.cuts && at->now.size > 0) {
        cut(at, 0);
    }
    if (at == NULL)
        return false;
    /* opendir tells no descriptor */
    if (e->record.descriptor >= 0)
        set_open(d, &e->record, at);
    return true;
}

static bool apply_content(disk *d, const journal_entry *e)
{
    node *at = get_open(d, &e->record);
    if (at == NULL)
        return false;
    if (e->record.kind == IO_SYNC) {
        sync_node(at);
    } else if (e->record.kind == IO_CUT) {
        cut(at, (size_t)e->record.offset);
    } else if (e->record.kind == IO_CLOSE) {
        set_open(d, &e->record, NULL);
    } else {
        change *made = add_change(at, PUT);
        made->offset = (size_t)e->record.offset;
        made->size = (size_t)e->record.size;
        made->data = must_alloc(NULL, made->size);
        memcpy(made->data, e->data, made->size);
        put(&at->now, made->offset, made->data, made->size);
    }
    return true;
}

static bool apply_names(disk *d, const journal_entry *e)
{
    char name[IO_PATH], other[IO_PATH] = "";
    node *parent = find_parent(d, e->path, name), *at = find_node(d, e->path);
    if (parent == NULL)
        return false;
    if (e->record.kind == IO_MKDIR) {
        change_names(parent, ADD, name, "", new_node(d, true));
        return at == NULL;
    }
    if (at == NULL)
        return false;
    if (e->record.kind == IO_UNLINK || e->record.kind == IO_RMDIR) {
        change_names(parent, DROP, name, "", at);
        return true;
    }
    /* Within one folder: a move between two would be two changes. */
    if (find_parent(d, e->other, other) != parent)
        return false;
    change_names(parent, e->record.kind == IO_RENAME ? MOVE : SWAP, name, other, at);
    return true;
}

bool disk_apply(disk *d, const journal_entry *entry, char *why, size_t size)
{
    bool known = true;
    if (entry->record.failure != 0)
        return true;
    switch ((io_kind)entry->record.kind) {
    case IO_LOOK:
    case IO_CREATE: known = apply_open(d, entry); break;
    case IO_WRITE:
    case IO_SYNC:
    case IO_CUT:
    case IO_CLOSE: known = apply_content(d, entry); break;
    case IO_RENAME:
    case IO_EXCHANGE:
    case IO_UNLINK:
    case IO_RMDIR:
    case IO_MKDIR: known = apply_names(d, entry); break;
    case IO_KINDS: known = false;
    }
    if (!known)
        snprintf(why, size, "call %llu, of kind %u, on %s is not understood",
                 (unsigned long long)entry->record.number, entry->record.kind, entry->path);
    return known;
}

/* ---- images ------------------------------------------------------------------------------- */

typedef struct imaging {
    disk_loss loss;
    uint64_t seed;
    tree *out;
} imaging;

/* splitmix64 */
static uint64_t draw(imaging *im)
{
    uint64_t z = im->seed += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static bool keeps_name(imaging *im)
{
    if (im->loss >= LOSS_SOME)
        return (draw(im) & 1) != 0;
    return im->loss == LOSS_NONE || im->loss == LOSS_DATA || im->loss == LOSS_SECTORS;
}

static bool keeps_sector(imaging *im)
{
    if (im->loss >= LOSS_SOME)
        return (draw(im) & 1) != 0;
    return im->loss == LOSS_NONE || im->loss == LOSS_NAMES;
}

static bool keeps_size(imaging *im)
{
    if (im->loss >= LOSS_SOME)
        return (draw(im) & 1) != 0;
    return im->loss == LOSS_NONE || im->loss == LOSS_NAMES || im->loss == LOSS_SECTORS;
}

static void put_sectors(imaging *im, content *c, const change *made)
{
    if (keeps_size(im) && made->offset + made->size > c->size)
        resize(c, made->offset + made->size);
    for (size_t at = made->offset, end = made->offset + made->size; at < end;) {
        size_t next = (at / SECTOR + 1) * SECTOR;
        next = next < end ? next : end;
        if (keeps_sector(im))
            put(c, at, made->data + (at - made->offset), next - at);
        at = next;
    }
}

static void image_node(imaging *im, const node *at, const char *path)
{
    if (!at->folder) {
        content c = {0};
        set_content(&c, at->safe.bytes, at->safe.size);
        for (size_t i = 0; i < at->change_count; i++) {
            const change *made = &at->changes[i];
            if (made->kind == PUT)
                put_sectors(im, &c, made);
            else if (keeps_size(im))
                resize(&c, made->size);
        }
        tree_add(im->out, path, false, c.bytes, c.size);
        free(c.bytes);
        return;
    }
    listing names = {0};
    copy_listing(&names, &at->safe_names);
    for (size_t i = 0; i < at->change_count; i++)
        if (keeps_name(im))
            apply_name(&names, &at->changes[i]);
    if (path[0] != '\0')
        tree_add(im->out, path, true, NULL, 0);
    for (size_t i = 0; i < names.count; i++) {
        char *inner = strdup(path_in(path, names.entries[i].name));
        image_node(im, names.entries[i].at, inner);
        free(inner);
    }
    free_listing(&names);
}

void disk_image(const disk *d, disk_loss loss, uint64_t seed, tree *image)
{
    *image = (tree){0};
    imaging im = {loss, seed, image};
    image_node(&im, d->top, "");
    tree_sort(image);
}
