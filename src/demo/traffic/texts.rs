//! What businesses and intruders write, in Indonesian and English. `{n}` becomes a number and
//! `{name}` a first name. The hosts of intruders do not exist.

use super::random::Random;

pub(super) const NAMES: [&str; 16] = [
    "Budi", "Siti", "Agus", "Dewi", "Andi", "Rina", "Joko", "Putri", "Hendra", "Maya", "Rudi",
    "Fitri", "Eko", "Lestari", "Bayu", "Wulan",
];

/// A line of business: its texts, and the names of its templates.
#[derive(Debug)]
pub(super) struct Trade {
    pub(super) name: &'static str,
    pub(super) texts: &'static [&'static str],
    pub(super) templates: &'static [(&'static str, &'static str, &'static str)],
}

pub(super) const TRADES: [Trade; 4] = [
    Trade {
        name: "Kurir",
        texts: &[
            "Paket Kak {name} dengan resi {n} sedang diantar kurir kami. Mohon siapkan penerima di rumah.",
            "Paket {n} sudah diterima oleh {name}. Terima kasih telah menggunakan layanan kami.",
            "Halo Kak {name}, kurir tidak menemukan alamat untuk resi {n}. Boleh kirim patokan rumahnya?",
            "Pengiriman {n} tertunda karena cuaca. Perkiraan tiba besok siang.",
            "Your parcel {n} is out for delivery today between 10:00 and 14:00.",
            "Barang Kak {name} sudah sampai di gudang Surabaya, resi {n}.",
        ],
        templates: &[
            (
                "status_kirim",
                "UTILITY",
                "Halo {{1}}, paket dengan resi {{2}} sedang dalam perjalanan.",
            ),
            ("paket_tiba", "UTILITY", "Halo {{1}}, paket {{2}} sudah tiba. Terima kasih."),
        ],
    },
    Trade {
        name: "Bank",
        texts: &[
            "Kode OTP Anda {n}. Jangan berikan kode ini kepada siapa pun, termasuk petugas bank.",
            "Transaksi kartu kredit Anda sebesar Rp{n} di merchant berhasil. Bukan Anda? Hubungi call center di balik kartu.",
            "Bapak/Ibu {name}, tagihan bulan ini sebesar Rp{n} jatuh tempo tanggal 20.",
            "Your verification code is {n}. Do not share it with anyone.",
            "Terima kasih {name}, setoran Rp{n} sudah kami terima.",
        ],
        templates: &[
            (
                "kode_masuk",
                "AUTHENTICATION",
                "{{1}} adalah kode masuk Anda. Jangan berikan kepada siapa pun.",
            ),
            (
                "tagihan_bulanan",
                "UTILITY",
                "Yth. {{1}}, tagihan Anda Rp{{2}} jatuh tempo tanggal 20.",
            ),
        ],
    },
    Trade {
        name: "Toko",
        texts: &[
            "Halo Kak {name}, pesanan INV-{n} sudah kami proses ya. Ditunggu kabarnya.",
            "Stok ukuran L masih ada kak, mau diambil berapa?",
            "Promo gajian! Diskon sampai 50% khusus hari ini di semua outlet kami.",
            "Terima kasih Kak {name} sudah belanja. Jangan lupa beri ulasan ya.",
            "Thank you {name}, your order {n} has been confirmed.",
            "Baik kak, pembayaran Rp{n} sudah masuk. Barang dikirim sore ini.",
            "Katalog baru sudah ada di https://katalog.tokokami.co.id/baru ya kak.",
        ],
        templates: &[
            (
                "promo_gajian",
                "MARKETING",
                "Halo {{1}}, promo gajian diskon {{2}} hanya sampai besok.",
            ),
            (
                "promo_tanggal_kembar",
                "MARKETING",
                "Hai {{1}}! Tanggal kembar, gratis ongkir {{2}}.",
            ),
            ("konfirmasi_pesanan", "UTILITY", "Halo {{1}}, pesanan {{2}} sudah dikonfirmasi."),
        ],
    },
    Trade {
        name: "Klinik",
        texts: &[
            "Selamat pagi {name}, ada yang bisa kami bantu?",
            "Jadwal kontrol {name} besok pukul 09.00 dengan nomor antrean {n}.",
            "Baik, mohon ditunggu. Kami cek dulu ke bagian terkait.",
            "Hasil laboratorium nomor {n} sudah bisa diambil di loket 3.",
            "Hello {name}, your appointment has been moved to Thursday at 10.",
            "Sama-sama, semoga lekas sembuh.",
        ],
        templates: &[
            ("pengingat_jadwal", "UTILITY", "Halo {{1}}, jadwal Anda pukul {{2}}."),
            (
                "survei_layanan",
                "MARKETING",
                "Halo {{1}}, bagaimana layanan kami? Balas 1 sampai 5.",
            ),
        ],
    },
];

pub(super) const SCAMS: [&str; 8] = [
    "SELAMAT! Nomor Anda terpilih sebagai pemenang undian gebyar Rp{n}. Ambil hadiah di https://{host}/klaim",
    "Yth nasabah, mulai hari ini tarif transaksi berubah menjadi Rp150.000 per bulan. Jika tidak setuju isi formulir: https://{host}/tarif",
    "Rekening Anda akan diblokir dalam 1x24 jam. Verifikasi segera di https://{host}/verifikasi",
    "Paket Anda tertahan, silakan cek resi dan buka aplikasi http://{host}/cek-resi.apk",
    "Kerja paruh waktu, penghasilan Rp{n} per hari tanpa pengalaman. Daftar https://{host}/kerja",
    "Pinjaman cepat cair tanpa BI checking, bunga 0%. Ajukan sekarang https://{host}/dana",
    "Slot gacor hari ini bonus new member 100% maxwin {n} https://{host}/daftar",
    "Your account has been suspended. Verify within 24 hours: https://{host}/verify",
];

const SCAM_HOSTS: [&str; 8] = [
    "undian-info",
    "layanan-resmi",
    "promo-hadiah",
    "cek-paket",
    "tarif-baru",
    "dana-cepat",
    "klaim-bonus",
    "secure-verify",
];
const SCAM_ZONES: [&str; 6] = ["top", "xyz", "vip", "online", "my.id", "web.id"];

/// Returns the host of one attack.
pub(super) fn scam_host(random: &mut Random) -> String {
    let number = random.below(900) + 100;
    format!("{}{number}.{}", random.pick(&SCAM_HOSTS), random.pick(&SCAM_ZONES))
}

/// Fills a pattern in.
pub(super) fn fill(pattern: &str, host: &str, random: &mut Random) -> String {
    let number = (random.below(900_000) + 100_000).to_string();
    pattern
        .replace("{n}", &number)
        .replace("{name}", random.pick::<&str>(&NAMES))
        .replace("{host}", host)
}
