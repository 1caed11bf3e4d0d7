// SPDX-License-Identifier: GPL-2.0-only
/* The debugger's protocol, packet by packet, on a machine made up for it. */
#include "fake_debug.h"
#include "tap.h"

static struct fake fake;
static struct session s;

static void fresh(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.running = true;
	session_open(&s, &fake_ops, &fake);
	s.no_ack = true;
}

static void send(const char *text, size_t len)
{
	uint8_t sum = 0;
	char end[4];

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + (uint8_t)text[i]);
	snprintf(end, sizeof(end), "#%02x", sum);
	session_feed(&s, "$", 1);
	session_feed(&s, text, len);
	session_feed(&s, end, 3);
}

/* Sends a packet; what comes back, without its frame. */
static const char *ask_bytes(const char *text, size_t len)
{
	static char reply[OUT_MAX + 1];

	s.out_len = 0;
	send(text, len);
	memcpy(reply, s.out, s.out_len);
	reply[s.out_len < 3 ? 0 : s.out_len - 3] = '\0';
	return reply[0] == '$' ? reply + 1 : reply;
}

static const char *ask(const char *text)
{
	return ask_bytes(text, strlen(text));
}

static void test_frames(void)
{
	fresh();
	s.no_ack = false;
	ok(!fake.running, "a debugger that comes stops the guest");
	session_feed(&s, "+$qC#b4", 7);
	s.out[s.out_len] = '\0';
	is_str(s.out, "+$QC1#c5", "a packet is acknowledged and answered");
	s.out_len = 0;
	session_feed(&s, "-", 1);
	s.out[s.out_len] = '\0';
	is_str(s.out, "$QC1#c5", "and said again when it got lost");
	s.out_len = 0;
	session_feed(&s, "$qC#b5", 6);
	s.out[s.out_len] = '\0';
	is_str(s.out, "-", "a wrong checksum is asked for again");
	s.out_len = 0;
	session_feed(&s, "$qC$qC#b4", 9);
	s.out[s.out_len] = '\0';
	is_str(s.out, "+$QC1#c5", "a packet that was cut off is forgotten");
	fresh();
	session_feed(&s, "$qC#b5", 6);
	ok(s.over, "without acknowledgements a wrong checksum is the end");
	fresh();
	for (unsigned i = 0; i < 20000 && !s.over; i++)
		session_feed(&s, "$?#3f", 5);
	ok(s.over, "who never reads is left");
	is_str((fresh(), ask("jumble")), "", "what isn't known has an empty reply");
	ok(strstr(ask("qSupported:x"), "PacketSize=2000"), "the packet size is told");
}

static void test_registers(void)
{
	char big[2200];

	fresh();
	fake.cpu[0].regs.gpr[R_AX] = 0x1122334455667788;
	fake.cpu[1].regs.rip = 0xffffffff81000000;
	fake.cpu[0].regs.seg[SEG_CS].sel = 0x10;
	is_str(ask("p0"), "8877665544332211", "rax");
	is_str(ask("p12"), "10000000", "cs");
	is_str(ask("Hg2"), "OK", "the other vCPU");
	is_str(ask("p10"), "00000081ffffffff", "its rip");
	is_str(ask("P10=0100000000000000"), "OK", "is written");
	is(fake.cpu[1].regs.rip, 1, "and is 1");
	is_str(ask("P12=11000000"), "E16", "cs can't be");
	is_str(ask("P10=01"), "E16", "nor half a register");
	is_str(ask("pff"), "E16", "nor one that isn't there");
	is_str(ask("Hg3"), "E16", "a third vCPU isn't there");
	is(strlen(ask("g")), 2 * (17 * 8 + 7 * 4 + 8 * 10 + 8 * 4 + 16 * 16 + 4 + 2 * 8 + 8 * 8),
	   "all registers have their length");
	snprintf(big, sizeof(big), "G%s", ask("g"));
	big[1] = '7';
	is_str(ask(big), "OK", "all are written");
	is(fake.cpu[1].regs.gpr[R_AX] & 0xff, 0x70, "as they come");
	ok(!strcmp(target_xml() + strlen(target_xml()) - 19, "</feature></target>"), "the description is whole");
	ok(strncmp(ask("qXfer:features:read:target.xml:0,100"), "m<?xml", 6) == 0, "and is told in pieces");
}

static void test_memory(void)
{
	fresh();
	is_str(ask("M1000,3:616263"), "OK", "memory is written");
	is_str(ask("m1000,4"), "61626300", "and read");
	is_str(ask_bytes("X1004,3:x}\3y", 12), "OK", "binary too, with an escape");
	ok(!memcmp(fake.mem + 4, "x#y", 3), "which is undone");
	is_str(ask("m1ffe,8"), "0000", "what is there of it");
	is_str(ask("m0,8"), "E0e", "what isn't there");
	is_str(ask("M1ffe,4:00000000"), "E0e", "a write over the end");
	is_str(ask("M1000,4:0000"), "E16", "fewer bytes than told");
}

static void test_points(void)
{
	fresh();
	is_str(ask("Z0,1000,1"), "OK", "a breakpoint");
	is_str(ask("Z0,1000,1"), "OK", "is one, even if set twice");
	is_str(ask("Z1,1000,1"), "OK", "a hardware breakpoint");
	is_str(ask("Z2,1008,8"), "OK", "a watchpoint");
	is_str(ask("Z2,1004,8"), "E16", "not on half of it");
	is_str(ask("Z4,1004,4"), "OK", "a fourth point");
	is_str(ask("Z1,1234,1"), "E1c", "a fifth has no room");
	is_str(ask("z1,1000,1"), "OK", "one is taken away");
	is_str(ask("Z5,1000,1"), "", "an unknown kind");
	ask("vCont;c");
	ok(fake.running && fake.run == 3 && !fake.step, "the guest goes on, both vCPUs");
	ok(fake.points[0].kind == CONTROL_EXEC && fake.points[0].addr == 0x1000, "with the breakpoint");
	ok(fake.points[1].kind == CONTROL_FREE, "without the one that was taken away");
	ok(fake.points[2].kind == CONTROL_WRITE && fake.points[2].len == 8, "with the watchpoint");
	is_str(ask("g"), "", "while it runs nothing is answered");
	fake.why[1] = (struct control_stop){ true, false, 2 };
	s.out_len = 0;
	session_stopped(&s);
	s.out[s.out_len - 3] = '\0';
	is_str(s.out, "$T05thread:2;watch:1008;", "a watchpoint that is hit is told");
	ok(!fake.running, "and all are stopped");
	is_str(ask("qC"), "QC2", "the vCPU that stopped is the current one");
}

/* The guest stops, and what is told of it. */
static const char *stops(void)
{
	s.out_len = 0;
	session_stopped(&s);
	s.out[s.out_len - 3] = '\0';
	return s.out;
}

static void test_two_at_once(void)
{
	fresh();
	ask("Z2,1008,8");
	ask("Z1,1000,1");
	ask("vCont;c");
	fake.why[0] = (struct control_stop){ true, false, 1 };
	fake.why[1] = (struct control_stop){ true, false, 0 };
	is_str(stops(), "$T05thread:1;hwbreak:;", "of two that stop at once one is told");
	/* As gdb does: its points go while the guest stands, and may come back in another order. */
	ask("z2,1008,8");
	ask("z1,1000,1");
	ask("Z1,1000,1");
	ask("Z2,1008,8");
	fake.goes = 0;
	is_str(ask("vCont;c"), "T05thread:2;watch:1008;", "the other's watchpoint is told instead of going on");
	is(fake.goes, 0, "nothing moved in between");
	is_str(ask("qC"), "QC2", "its vCPU is the current one");
	fake.why[0] = fake.why[1] = (struct control_stop){ .point = -1 };
	ask("vCont;c");
	is(fake.goes, 1, "told once, it isn't told again");

	fake.why[0] = (struct control_stop){ true, true, -1 };
	fake.why[1] = (struct control_stop){ true, false, 0 };
	is_str(stops(), "$T05thread:1;", "a step beside a breakpoint");
	ask("vCont;c");
	is(fake.goes, 2, "which will be come to again");

	fake.why[0] = (struct control_stop){ true, true, -1 };
	fake.why[1] = (struct control_stop){ true, false, 1 };
	is_str(stops(), "$T05thread:1;", "and beside a watchpoint");
	ask("z2,1008,8");
	ask("vCont;c");
	is(fake.goes, 3, "that is taken away: nothing is told of it");
}

static void test_going(void)
{
	fresh();
	ask("vCont;s:2;c:1");
	ok(fake.run == 3 && fake.step == 2, "one steps, one runs");
	s.out_len = 0;
	session_feed(&s, "\3", 1);
	s.out[s.out_len - 3] = '\0';
	is_str(s.out, "$T02thread:1;", "Ctrl-C stops them");
	ask("vCont;s:1");
	ok(fake.run == 1 && fake.step == 1, "one steps, the other stays");
	session_feed(&s, "\3", 1);
	is_str(ask("vCont;s:7"), "E16", "no vCPU 6");
	is_str(ask("vCont;t"), "E16", "nor another action");
	ask("s1234");
	ok(fake.step == 1 && fake.cpu[0].regs.rip == 0x1234, "a plain step from an address");
	session_feed(&s, "\3", 1);
	is_str(ask("qfThreadInfo"), "m1,2", "two threads");
	is_str(ask("qsThreadInfo"), "l", "and no more");
	is_str(ask("qOffsets"), "", "a kernel that was not moved");
	fake.text = 0xffffffffa1000000;
	is_str(ask("qOffsets"), "TextSeg=ffffffffa1000000", "and one that was");
	is_str(ask("T2"), "OK", "one is alive");
	is_str(ask("T3"), "E03", "another isn't");
	is_str(ask("D"), "OK", "a debugger leaves");
	ok(s.over, "the connection is over");
	session_close(&s);
	ok(fake.running && fake.points[0].kind == CONTROL_FREE, "and the guest goes on, free");
	fresh();
	ask("k");
	ok(fake.kills == 1 && s.over, "k ends the guest");
}

int main(void)
{
	test_frames();
	test_registers();
	test_memory();
	test_points();
	test_two_at_once();
	test_going();
	return tap_end();
}
