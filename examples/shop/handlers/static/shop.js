"use strict";

// The page of an order shows each new state as soon as the server sends it.
var live = document.getElementById("live");
if (live && live.dataset.events) {
	var events = new EventSource(live.dataset.events);
	events.addEventListener("state", function (e) {
		if (e.lastEventId === live.dataset.version) return;
		live.dataset.version = e.lastEventId;
		live.innerHTML = e.data;
	});
	events.addEventListener("end", function () { events.close(); });
}

// The button that sends a code keeps the form as it is, and waits before it sends another.
var button = document.getElementById("send-code");
if (button) button.addEventListener("click", function (e) {
	e.preventDefault();
	var answer = document.getElementById("code-answer"), label = button.textContent, left = 60;
	if (!button.form.elements.mobile.reportValidity()) return;
	button.disabled = true;
	fetch(button.formAction, {
		method: "POST", headers: { Accept: "text/plain" }, body: new URLSearchParams({ mobile: button.form.elements.mobile.value }),
	}).then(function (r) {
		if (!r.ok) left = 0;
		return r.text();
	}, function () {
		left = 0;
		return button.dataset.failed;
	}).then(function (text) {
		answer.textContent = text;
		(function count() {
			button.disabled = left > 0;
			button.textContent = left > 0 ? label + " (" + left + ")" : label;
			if (left-- > 0) setTimeout(count, 1000);
		})();
	});
});
