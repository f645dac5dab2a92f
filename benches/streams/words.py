"""What people write: tenants to their customers, programs to customers, intruders to strangers."""

FIRST_NAMES = (
    "andi ayu bagus bayu bella budi citra dedi desi dewi dian dimas dina eka eko fajar farah feri fitri galih "
    "gita hadi hana heri ika indah intan irfan joko kartika lestari lia lukman maya mega nanda nina novi nurul "
    "putra putri rahmat rani ratna reza rina rizky rudi sari sinta siti sri surya tari teguh tika tono umar vina "
    "wahyu wati winda wulan yani yoga yudi yuni zahra"
).split()
TRADES = (
    "apotek bakery batik bengkel bimbel butik cafe catering distro elektronik farma florist furnitur grosir hijab "
    "hotel katering kebun klinik kopi kosmetik kurma laundry logistik mebel mitra optik oleh pangan parfum "
    "pesantren properti roti salon sekolah sepatu servis skincare souvenir sport studio supplier tani travel"
).split()
QUALITIES = (
    "abadi agung amanah anugerah bahagia barokah berkah bintang cahaya cemerlang cendana damai gemilang harapan "
    "indah jaya kencana kita lancar makmur mandiri melati mulia murni nusantara permata prima putra raya rejeki "
    "sejahtera sentosa setia sukses surya timur utama wangi"
).split()
PRODUCTS = (
    "gamis kemeja sepatu lampu serum kopi madu tas jam meja kursi tenda ban oli aki roti nastar kurma parfum "
    "masker vitamin kabel charger helm jaket sarung mukena blender kompor kasur sprei"
).split()

CHAT = (
    "Halo kak {name}, ada yang bisa kami bantu?",
    "Baik kak, mohon ditunggu ya.",
    "Stok {product} masih ada kak, mau warna apa?",
    "Untuk {product} harganya Rp{price}.000 ya kak.",
    "Ongkir ke alamat kakak Rp{fee}.000.",
    "Total pesanan kakak Rp{price}.000, bisa transfer ke rekening toko yang tertera di invoice.",
    "Pembayaran sudah kami terima, terima kasih kak {name}.",
    "Paket sudah kami serahkan ke kurir hari ini, nomor resinya menyusul.",
    "Maaf kak, {product} sedang kosong. Minggu depan masuk lagi.",
    "Boleh dibantu alamat lengkap dan kode posnya kak?",
    "Jadwal besok masih ada jam {hour}.00, mau diambil?",
    "Siap kak {name}, sudah kami catat.",
    "Terima kasih sudah menghubungi kami. Semoga harinya menyenangkan!",
    "Kami cek dulu ke gudang ya kak.",
    "Garansi {product} berlaku 12 bulan kak.",
    "Mohon maaf atas keterlambatannya, pesanan kakak kami prioritaskan.",
    "Toko kami buka jam 09.00 sampai 21.00 kak.",
    "Dokter hadir hari Senin dan Kamis ya Bu.",
    "Untuk reschedule bisa kami bantu kak, mau di tanggal berapa?",
    "Ukuran L masih tersedia, XL tinggal {hour}.",
)
CHAT_LINK = (
    "Katalog {product} bisa dilihat di {link} ya kak.",
    "Silakan isi form pemesanan di {link} kak {name}.",
    "Pembayaran bisa lewat {link} kak.",
    "Lacak paket kakak di {link}",
    "Lokasi kami ada di {link}",
    "Detail promo ada di {link} kak.",
    "Contoh hasilnya bisa dilihat di {link}",
)
LEADS = (
    "Halo kak {name}, kami dari {shop}. Kami punya penawaran {product} untuk area kakak, boleh kami kirim katalognya?",
    "Selamat siang kak {name}, terima kasih sudah berkunjung ke stan {shop}. Ada promo {product} sampai akhir bulan.",
    "Kak {name}, member {shop} bulan ini dapat potongan 20% untuk {product}. Balas MAU untuk info lengkap.",
)
LEADS_LINK = (
    "Halo kak {name}, {shop} membuka cabang baru. Lihat {product} terbaru di {link} ya.",
    "Kak {name}, koleksi {product} dari {shop} sudah tayang di {link}.",
)
NOTICES = (
    ("order_confirmed", "UTILITY", "Pesanan {{1}} atas nama {{2}} sudah kami terima. Terima kasih."),
    ("order_shipped", "UTILITY", "Pesanan {{1}} sudah dikirim dengan kurir {{2}}."),
    ("payment_reminder", "UTILITY", "Tagihan {{1}} sebesar {{2}} jatuh tempo dalam 3 hari. Abaikan bila sudah membayar."),
    ("appointment", "UTILITY", "Pengingat: janji temu Anda {{1}} pukul {{2}}."),
    ("login_code", "AUTHENTICATION", "{{1}} adalah kode verifikasi Anda. Jangan berikan kode ini kepada siapa pun."),
    ("invoice_ready", "UTILITY", "Invoice {{1}} sudah terbit untuk {{2}}."),
    ("survey", "MARKETING", "Terima kasih {{2}} sudah berbelanja. Beri nilai pesanan {{1}} dari 1 sampai 5."),
)
PROMOS = (
    ("gajian", "Gajian tiba! Diskon {{1}} untuk semua {product} di {shop} sampai Minggu."),
    ("tanggal_kembar", "Pesta tanggal kembar di {shop}: {product} mulai {{1}}."),
    ("ramadan", "Marhaban ya Ramadan. Paket {product} dari {shop} hemat {{1}}."),
    ("hampers", "Hampers Lebaran {shop} sudah bisa dipesan, mulai {{1}}."),
    ("koleksi", "Koleksi {product} terbaru {shop} sudah hadir, potongan {{1}} untuk pembelian pertama."),
    ("libur", "Selama libur {shop} tetap buka jam 10 sampai 18. {{1}}"),
    ("poin", "Poin member Anda di {shop} tinggal {{1}}, tukar sebelum akhir bulan."),
)

# One line a wave: scheme, text with a link, text without.
SCHEMES = (
    ("apk", "Assalamualaikum, tanpa mengurangi rasa hormat kami mengundang saudara di acara pernikahan kami. Buka undangannya {link}/undangan.apk",
     "Kami mengundang saudara di acara pernikahan kami. Balas pesan ini untuk menerima file undangan digital."),
    ("courier", "Paket Anda tertahan di gudang karena alamat tidak lengkap. Perbarui dalam 1x24 jam di {link}",
     "Paket Anda tertahan di gudang. Hubungi kurir kami di 08{digits} untuk membayar biaya kirim ulang."),
    ("tariff", "Nasabah Yth, mulai besok tarif transaksi menjadi Rp150.000 per bulan. Jika tidak setuju isi formulir {link}",
     "Nasabah Yth, tarif transaksi menjadi Rp150.000 per bulan. Jika tidak setuju balas dengan nomor kartu Anda."),
    ("prize", "SELAMAT! Nomor Anda terpilih sebagai pemenang undian gebyar tahunan. Cek PIN pemenang di {link}",
     "SELAMAT! Nomor Anda pemenang undian gebyar tahunan. Kirim PIN 7{digits} ke 08{digits} untuk klaim hadiah."),
    ("job", "Lowongan paruh waktu, cukup like dan subscribe, komisi 300rb per hari tanpa pengalaman. Daftar {link}",
     "Lowongan paruh waktu, komisi 300rb per hari tanpa pengalaman. Hubungi HRD kami di Telegram."),
    ("loan", "Dana tunai cair 5 menit tanpa jaminan tanpa BI checking, bunga 0%. Ajukan {link}",
     "Dana tunai cair 5 menit tanpa jaminan, bunga 0%. WA 08{digits} sekarang."),
    ("slot", "Situs gacor hari ini, RTP 98%, maxwin pasti dibayar, bonus new member 100%. Link alternatif {link}",
     "Slot gacor hari ini, maxwin pasti dibayar, depo 10rb. Balas DAFTAR."),
    ("otp", "Akun Anda akan diblokir. Verifikasi di {link} lalu kirimkan kode OTP yang Anda terima",
     "Maaf salah kirim kode ke nomor Anda. Tolong kirimkan kode OTP yang masuk ya."),
    ("invest", "Profit 30% per minggu dijamin, modal kembali. Robot trading resmi: {link}",
     "Profit 30% per minggu dijamin, modal kembali. Balas JOIN."),
)
# What gives nothing away: a recipient would have to look at the link.
BLAND = (
    ("bland", "Halo kak, ada perubahan pada pesanan kakak, mohon dicek di {link} ya.",
     "Halo kak, ada perubahan pada pesanan kakak, mohon balas pesan ini ya."),
    ("bland", "Kak, katalog terbaru kami sudah bisa dilihat di {link}",
     "Kak, katalog terbaru kami sudah ada, mau kami kirimkan?"),
    ("bland", "Mohon konfirmasi data pelanggan melalui {link}, terima kasih.",
     "Mohon konfirmasi data pelanggan dengan membalas nama dan alamat, terima kasih."),
    ("bland", "Your account details need an update, please continue here: {link}",
     "Your account details need an update, please reply with your name."),
)

# Sites that any shop links to now and then.
COMMON_SITES = (
    "shopee.co.id tokopedia.com maps.app.goo.gl wa.me instagram.com youtube.com xendit.co midtrans.com jne.co.id "
    "jet.co.id sicepat.com docs.google.com drive.google.com bit.ly s.id tiktok.com linktr.ee"
).split()
FREE_HOSTS = "vercel.app pages.dev netlify.app weebly.com blogspot.com github.io web.app wixsite.com".split()
CHEAP_ENDINGS = "top xyz site online shop click icu vip my.id biz.id".split()
PLAIN_ENDINGS = "com net co.id id org info co".split()
