#!/bin/sh
# Joins two files of the Nezha data set into the table that nezha.yaml reads, on standard output:
#
#   sh nezha-prepare.sh front_service.csv frontend-579b9bff58-t2dbm_metric.csv > minutes.csv
#
# The success rate of the shop's front end stands in one file, its requests per second in the other. Both have one row
# a minute, but their clocks differ by up to a second, so they are joined by the minute of their `Time`. The rows were
# taken 19 or 20 seconds past each full minute and describe the sixty seconds before; they are moved back onto the full
# minute, so that the events of one row lie in one minute of the clock.
#
# A minute that only one of the files has, or that stands twice, ends the script with an error: it can't be joined.
set -eu

if [ $# -ne 2 ]; then
    echo "usage: $0 front_service.csv FRONTEND_POD_metric.csv > minutes.csv" >&2
    exit 2
fi

awk -F, '
    function fail(message) { print "nezha-prepare: " message > "/dev/stderr"; failed = 1; exit 1 }
    function column(name,    i) {
        for (i = 1; i <= NF; i++) if ($i == name) return i
        fail(FILENAME " has no column " name)
    }
    { sub(/\r$/, "") }
    FNR == 1 && NR == 1 { time = column("Time"); service = column("ServiceName"); rate = column("SuccessRate(%)"); next }
    FNR == 1 { time = column("Time"); workload = column("PodWorkload(Ops)"); next }
    { minute = substr($time, 1, 10) "T" substr($time, 12, 5) ":00Z" }
    FNR == NR {
        if (minute in rates) fail(minute " stands twice in " FILENAME)
        services[minute] = $service; rates[minute] = $rate; left++
        next
    }
    {
        if (!(minute in rates)) fail(minute " stands in " FILENAME " only, or twice")
        if (!printed++) print "minute_end,service,workload_per_second,success_percent"
        print minute "," services[minute] "," $workload "," rates[minute]
        delete rates[minute]; left--
    }
    END { if (!failed && left > 0) fail(left " minutes stand in the first file only") }
' "$1" "$2"
