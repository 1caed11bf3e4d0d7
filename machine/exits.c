// SPDX-License-Identifier: GPL-2.0-only
/*
 * exits: `--debug-exits`: tables of what the vCPUs and KVM counted.
 *
 * Runs on: main
 */
#include "exits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lkvm/report.h"
#include "lkvm/tally.h"
#include "result.h"

#define ROWS_SHOWN 40

struct exits {
	struct tally_row *rows;
	struct tally_number *reasons, *kvm;
	unsigned n_rows, n_reasons, n_kvm;
	uint64_t total[2], coalesced[2];
};

static unsigned long long llu(uint64_t n)
{
	return n;
}

/* --- for people ------------------------------------------------------------------------------- */

static void what(char *text, size_t len, const struct tally_row *row)
{
	const char *way = row->write ? "write" : "read";

	if (!row->who && row->rest)
		snprintf(text, len, "%-4s %-5s elsewhere", row->bus, way);
	else if (!row->who)
		snprintf(text, len, "%-4s %-5s %#llx, where nobody is", row->bus, way, llu(row->at));
	else if (row->rest)
		snprintf(text, len, "%-4s %-5s %s, the rest of it", row->bus, way, row->who);
	else
		snprintf(text, len, "%-4s %-5s %s + %#llx", row->bus, way, row->who, llu(row->at));
}

static void line(FILE *f, const uint64_t count[2], const char *text)
{
	fprintf(f, "lkvm: %12llu %12llu  %s\n", llu(count[0]), llu(count[1]), text);
}

static void print_rows(FILE *f, const struct exits *e)
{
	uint64_t others[2] = { 0, 0 };
	char text[120];

	for (unsigned i = 0; i < e->n_rows; i++) {
		if (i < ROWS_SHOWN) {
			what(text, sizeof(text), &e->rows[i]);
			line(f, e->rows[i].count, text);
			continue;
		}
		others[0] += e->rows[i].count[0];
		others[1] += e->rows[i].count[1];
	}
	snprintf(text, sizeof(text), "%u places more", e->n_rows - ROWS_SHOWN);
	if (e->n_rows > ROWS_SHOWN)
		line(f, others, text);
}

static void print(const struct exits *e)
{
	char *table = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&table, &len);

	if (!f)
		return;
	fprintf(f, "lkvm: exits to user space, before userspace began and after\n");
	line(f, e->total, "in all");
	for (unsigned i = 0; i < e->n_reasons; i++)
		line(f, e->reasons[i].count, e->reasons[i].name);
	fprintf(f, "lkvm: the accesses by what they reached\n");
	print_rows(f, e);
	if (e->coalesced[0] + e->coalesced[1])
		line(f, e->coalesced, "more writes came without an exit (coalesced)");
	if (e->n_kvm)
		fprintf(f, "lkvm: KVM's own statistics\n");
	for (unsigned i = 0; i < e->n_kvm; i++)
		line(f, e->kvm[i].count, e->kvm[i].name);
	/* In one piece: the guest's console may be the same terminal. */
	if (!fclose(f))
		fputs(table, stderr);
	free(table);
}

/* --- for machines ----------------------------------------------------------------------------- */

static void json_count(FILE *f, const uint64_t count[2])
{
	fprintf(f, "\"before\": %llu, \"after\": %llu", llu(count[0]), llu(count[1]));
}

static void json_numbers(FILE *f, const char *name, const struct tally_number *number, unsigned n)
{
	fprintf(f, ",\n    \"%s\": [", name);
	for (unsigned i = 0; i < n; i++) {
		fprintf(f, "%s\n      { \"name\": ", i ? "," : "");
		report_json(f, number[i].name, strlen(number[i].name));
		fputs(", ", f);
		json_count(f, number[i].count);
		fputs(" }", f);
	}
	fputs("\n    ]", f);
}

static void json_rows(FILE *f, const struct exits *e)
{
	fputs(",\n    \"accesses\": [", f);
	for (unsigned i = 0; i < e->n_rows; i++) {
		const struct tally_row *row = &e->rows[i];

		fprintf(f, "%s\n      { \"bus\": \"%s\", \"write\": %s, \"device\": ", i ? "," : "", row->bus,
			row->write ? "true" : "false");
		if (row->who)
			report_json(f, row->who, strlen(row->who));
		else
			fputs("null", f);
		if (!row->rest)
			fprintf(f, ", \"at\": %llu", llu(row->at));
		fputs(", ", f);
		json_count(f, row->count);
		fputs(" }", f);
	}
	fputs("\n    ]", f);
}

static char *json(const struct exits *e)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fputs("{ ", f);
	json_count(f, e->total);
	fputs(", \"coalesced\": { ", f);
	json_count(f, e->coalesced);
	fputs(" }", f);
	json_numbers(f, "reasons", e->reasons, e->n_reasons);
	json_rows(f, e);
	json_numbers(f, "kvm", e->kvm, e->n_kvm);
	fputs(" }", f);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

void exits_report(struct vm *vm, struct result *result)
{
	struct exits e = { 0 };

	e.n_rows = tally_rows(vm, &e.rows);
	e.n_reasons = tally_reasons(vm, &e.reasons);
	e.n_kvm = tally_kvm(vm, &e.kvm);
	tally_coalesced(vm, e.coalesced);
	for (unsigned i = 0; i < e.n_reasons; i++) {
		e.total[0] += e.reasons[i].count[0];
		e.total[1] += e.reasons[i].count[1];
	}
	print(&e);
	if (result)
		result_exits(result, json(&e));
	free(e.rows);
	free(e.reasons);
	free(e.kvm);
}
